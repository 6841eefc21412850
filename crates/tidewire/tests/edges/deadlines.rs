//! Every call ends: here the server hangs, with its connections open.

use std::time::{Duration, Instant};

use tidewire::{AskError, ConnectError, PublishError, StartError, StopError};
use tidewire_server::Server;

use crate::support::{Seen, WELL_WITHIN, payments, process, processed, shipping, soon, till, within};

/// What the clock may be late by.
const LATE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn every_call_returns_while_the_server_hangs() {
    let mut server = Server::start().unwrap();
    let seen = Seen::default();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let payments = payments().start(nats.clone()).await.unwrap();
    let shipping = shipping(&seen).start(nats.clone()).await.unwrap();
    let till = till().start(nats.clone()).await.unwrap();
    server.pause().unwrap();
    let (publish, ask) = (payments.bus(), till.bus());
    let (event, question) = (processed("p"), process("p"));
    let began = Instant::now();
    let (published, asked, started, stopped, connected) = tokio::join!(
        soon(Duration::from_secs(15) + LATE, "publish", publish.publish(&event)),
        soon(Duration::from_secs(5) + LATE, "ask", ask.ask(&question)),
        soon(
            Duration::from_secs(15) + LATE,
            "start",
            crate::support::shipping(&seen).start(nats.clone())
        ),
        soon(Duration::from_secs(25 + 5) + LATE, "stop", shipping.stop()),
        soon(
            Duration::from_secs(5) + LATE,
            "connect",
            tidewire::connect(server.url())
        ),
    );
    assert!(
        matches!(&published, Err(error @ PublishError::Unconfirmed { .. }) if error.is_transient()),
        "{published:?}"
    );
    assert!(matches!(&asked, Err(AskError::TimedOut { .. })), "{asked:?}");
    assert!(matches!(&started, Err(StartError::JetStream(_))), "{started:?}");
    assert!(matches!(&stopped, Err(StopError::Unconfirmed(_))), "{stopped:?}");
    assert!(
        matches!(&connected, Err(ConnectError::Unreachable { .. })),
        "{connected:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(17), "{:?}", began.elapsed());

    server.resume().unwrap();
    within(WELL_WITHIN, "it goes on", async || {
        publish.publish(&event).await.is_ok()
    })
    .await;
    let _shipping = crate::support::shipping(&seen).start(nats).await.unwrap();
    within(WELL_WITHIN, "all is handled", async || seen.has("p")).await;
}

/// While a connection is lost the client takes some commands and then none: a call has to end all the same.
#[tokio::test]
async fn every_call_returns_while_the_clients_queue_is_full() {
    let mut server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    let (payments, till) = (
        payments().start(nats.clone()).await.unwrap(),
        till().start(nats.clone()).await.unwrap(),
    );
    server.kill().unwrap();
    let full = async {
        loop {
            nats.client().publish("anywhere", "".into()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(1), full)
        .await
        .unwrap_err();
    let (publish, ask) = (payments.bus(), till.bus());
    let (event, question) = (processed("p"), process("p"));
    let (published, asked, started, stopped) = tokio::join!(
        soon(Duration::from_secs(15) + LATE, "publish", publish.publish(&event)),
        soon(
            Duration::from_secs(1) + LATE,
            "ask",
            ask.ask_within(&question, Duration::from_secs(1))
        ),
        soon(
            Duration::from_secs(15) + LATE,
            "start",
            crate::support::shipping(&Seen::default()).start(nats.clone())
        ),
        soon(Duration::from_secs(30) + LATE, "stop", till.stop()),
    );
    assert!(published.is_err() && asked.is_err() && started.is_err() && stopped.is_err());
}
