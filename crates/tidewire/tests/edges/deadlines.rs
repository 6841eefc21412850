//! Every call ends: here the server hangs, with its connections open.

use std::time::Duration;

use serde_json::Value;
use tidewire::{
    ApiError, AskError, ConnectError, MessageId, Outgoing, PublishError, StartError, StopError, Subject,
    async_nats::jetstream::object_store, prelude::*,
};
use tidewire_server::Server;

use crate::support::{
    ProcessPayment, Seen, WELL_WITHIN, connect_to, payments, process, processed, shipping, soon, till,
    within, worker,
};

/// What a busy machine may be late by.
const LATE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_call_returns_while_the_server_hangs() {
    let mut server = Server::start().unwrap();
    let seen = Seen::default();
    let nats = connect_to(server.url()).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    let shipping = shipping(&seen).start(nats.clone()).await.unwrap();
    let till = till().start(nats.clone()).await.unwrap();
    server.pause().unwrap();
    let (publish, ask) = (payments.bus(), till.bus());
    let (event, question) = (processed("p"), process("p"));
    let (published, asked, started, stopped, connected) = tokio::join!(
        soon(Duration::from_secs(15) + LATE, "publish", publish.publish(&event)),
        soon(Duration::from_secs(5) + LATE, "ask", ask.ask(&question)),
        soon(
            Duration::from_secs(15) + LATE,
            "start",
            crate::support::shipping(&seen).start(nats.clone())
        ),
        // Nothing runs for which it would wait until its grace is over.
        soon(Duration::from_secs(25), "stop", shipping.stop()),
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

    server.resume().unwrap();
    within(WELL_WITHIN, "it goes on", async || {
        publish.publish(&event).await.is_ok()
    })
    .await;
    let _shipping = crate::support::shipping(&seen).start(nats).await.unwrap();
    within(WELL_WITHIN, "all is handled", async || seen.has("p")).await;
}

/// What the first test leaves out: durable commands, and the calls for tools.
#[tokio::test]
async fn durable_commands_and_the_calls_for_tools_return_while_the_server_hangs() {
    let mut server = Server::start().unwrap();
    let seen = Seen::default();
    let nats = connect_to(server.url()).await;
    let _queue = worker(&seen).start(nats.clone()).await.unwrap();
    let sender = Service::new("sender", "1.0.0").sends::<ProcessPayment>();
    let sender = sender.start(nats.clone()).await.unwrap();
    let claiming = payments().claim_check_above(1).start(nats.clone()).await.unwrap();
    let config = object_store::Config {
        bucket: "files".into(),
        ..Default::default()
    };
    let bucket = nats.jetstream().create_object_store(config).await.unwrap();
    bucket.put("one", &mut b"content".as_ref()).await.unwrap();
    let read = tidewire::read_object(&nats, "files", "one").await.unwrap();
    assert_eq!(read.as_deref(), Some(b"content".as_slice()));
    let outgoing = |subject| Outgoing {
        subject: Subject::parse(subject).unwrap(),
        id: MessageId::from_text("evt_1").unwrap(),
        headers: Vec::new(),
        body: "{}".into(),
        queued: false,
    };
    let (event, question) = (
        outgoing("orders.payments.payment.processed.p"),
        outgoing("orders.payments.payment.process.p"),
    );
    server.pause().unwrap();
    let (bus, command, second) = (sender.bus(), process("p"), Duration::from_secs(1));
    let (claiming, large) = (claiming.bus(), processed("p"));
    let (sent, claimed, read, oldest, called, published, asked) = tokio::join!(
        soon(Duration::from_secs(15) + LATE, "send", bus.send(&command)),
        soon(
            Duration::from_secs(60) + LATE,
            "publish of what is an object of its own",
            claiming.publish(&large)
        ),
        soon(
            Duration::from_secs(60) + LATE,
            "read_object",
            tidewire::read_object(&nats, "files", "one")
        ),
        soon(
            Duration::from_secs(3) + LATE,
            "oldest_unsettled",
            tidewire::oldest_unsettled(&nats, "ORDERS__PAYMENTS", &[], 0)
        ),
        soon(second + LATE, "api", nats.api::<Value>("INFO", &(), second)),
        soon(second + LATE, "publish", nats.publish(&event, second)),
        soon(second + LATE, "ask", nats.ask::<Value>(&question, second)),
    );
    assert!(
        matches!(&sent, Err(error @ PublishError::Unconfirmed { .. }) if error.is_transient()),
        "{sent:?}"
    );
    assert!(matches!(&claimed, Err(PublishError::Data { .. })), "{claimed:?}");
    assert!(read.is_err(), "{read:?}");
    assert!(matches!(&oldest, Err(ApiError::Unanswered { .. })), "{oldest:?}");
    assert!(matches!(&called, Err(ApiError::Unanswered { .. })), "{called:?}");
    assert!(
        matches!(&published, Err(PublishError::Unconfirmed { .. })),
        "{published:?}"
    );
    assert!(matches!(&asked, Err(AskError::TimedOut { .. })), "{asked:?}");

    server.resume().unwrap();
    within(WELL_WITHIN, "a command is sent", async || {
        bus.send(&command).await.is_ok()
    })
    .await;
    within(WELL_WITHIN, "it is worked", async || seen.has("p")).await;
}

/// While a connection is lost the client takes some commands and then none: a call has to end all the same.
#[tokio::test]
async fn every_call_returns_while_the_clients_queue_is_full() {
    let mut server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
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
