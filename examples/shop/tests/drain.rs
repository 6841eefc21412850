//! A service that is stopped under load finishes what it has begun, and nothing is lost until it is back.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod process;

use process::{BOUND, Process, eventually};
use tidewire_server::Server;
use tidewire_shop::{books::Books, load::Storefront};

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
    let first = Process::start_with(orders, &url, &[]);
    let others = others.map(|program| Process::start_with(program, &url, &[]));

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
        let second = Process::start_with(orders, &url, &[]);
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
