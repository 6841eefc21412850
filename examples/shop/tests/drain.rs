//! A service that is stopped under load finishes what it has begun, and nothing is lost until it is back.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tidewire_server::Server;
use tidewire_shop::{books::Books, load::Storefront};
use tokio::time::sleep;

const BOUND: Duration = Duration::from_secs(60);

/// A service as a process; killed when this is dropped.
struct Process(Child);

impl Process {
    fn start(program: &str, url: &str) -> Self {
        let mut command = Command::new(program);
        command.env("NATS_URL", url).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// SIGTERM, and how it ended.
    async fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).unwrap();
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it still runs {BOUND:?} after SIGTERM");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_stopped_under_load_loses_nothing() {
    let server = Server::start().unwrap();
    let url = server.url();
    let orders = env!("CARGO_BIN_EXE_orders");
    let others = [
        env!("CARGO_BIN_EXE_inventory"),
        env!("CARGO_BIN_EXE_payments"),
        env!("CARGO_BIN_EXE_notifications"),
    ];
    let first = Process::start(orders, &url);
    let others = others.map(|program| Process::start(program, &url));

    let nats = tidewire::connect(&url).await.unwrap();
    let storefront = Storefront::open(nats.clone()).await.unwrap();
    let ledger = storefront.ledger().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let load = storefront.place_orders(60, None, async { drop(stopped.await) });
    let stop_and_start = async {
        eventually("orders end", || ledger.figures().finished > 30).await;
        let ended = first.stop().await;
        assert!(ended.success(), "{ended}");
        let before = ledger.figures().asked;
        // Customers who come in between ask again until there is somebody.
        eventually("orders are placed meanwhile", || {
            ledger.figures().asked > before + 10
        })
        .await;
        let second = Process::start(orders, &url);
        let before = ledger.figures().finished;
        eventually("orders end again", || ledger.figures().finished > before + 30).await;
        drop(stop);
        second
    };
    let ((), second) = tokio::join!(load, stop_and_start);

    assert_eq!(storefront.settle(BOUND).await, 0, "all orders end");
    let books = Books::once_balanced(&nats, &ledger, BOUND).await.unwrap();
    assert!(books.balance(), "{books:#?}");
    assert_eq!(ledger.figures().unknown, 0);
    for process in others.into_iter().chain([second]) {
        let ended = process.stop().await;
        assert!(ended.success(), "{ended}");
    }
    storefront.close().await.unwrap();
}
