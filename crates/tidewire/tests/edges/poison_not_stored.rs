//! Stored messages whose headers the client cannot take, and no place for their letters: they stay, it is told as of any other
//! letter, and they are put away once there is room.

use std::sync::atomic::Ordering;

use serde_json::Value;
use tidewire::{
    Connection, Running,
    async_nats::jetstream::stream::{Config, DiscardPolicy},
    wire,
};
use tidewire_server::Server;

use crate::{
    poison::{GOES_ON_WITHIN, NO_COLON, PAYLOAD, SUBJECT, consumer, letters, nothing_waits},
    support::{
        Log, PAYMENTS, Reloadable, Seen, connect_as, connect_to, payments, publish_raw, publish_raw_as,
        shipping, users, within,
    },
};

const CONSUMER: &str = "shipping__note";
const NOT_STORED: &str = "could not be put into TIDEWIRE_DLQ";
const LOOKED: &str = "cannot look for messages with malformed headers";

/// The error events of letters that could not be stored, oldest first: the `data` of each.
async fn told(nats: &Connection) -> Vec<Value> {
    let js = nats.jetstream();
    let stream = js.get_stream(wire::ERRORS_STREAM).await.unwrap();
    let mut told = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(message.subject.as_str(), "errors.shipping.note");
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["data"]["code"], "not_stored");
        told.push(event["data"].clone());
    }
    told
}

/// It is told by an event, in the log and by readiness, while the message stays where it is.
async fn is_told(log: &Log, shipping: &Running, operator: &Connection, why: &str) {
    log.says(GOES_ON_WITHIN, NOT_STORED).await;
    within(GOES_ON_WITHIN, "an event tells it", async || {
        !told(operator).await.is_empty()
    })
    .await;
    let event = told(operator).await.remove(0);
    let message = event["message"].as_str().unwrap();
    assert!(
        message.contains(wire::DLQ_STREAM) && message.contains(why),
        "{message}"
    );
    let details = &event["details"];
    assert_eq!(
        (&details["durable"], &details["stream"]),
        (&"note".into(), &PAYMENTS.into())
    );
    assert_eq!(
        (&details["subject"], &details["sequence"]),
        (&SUBJECT.into(), &1.into())
    );
    assert_eq!(
        (&details["then"], &details["attempt"]),
        (&"kept_unacknowledged".into(), &0.into())
    );
    let says = shipping.not_ready()["dead-letters"].clone();
    assert!(
        says.contains(wire::DLQ_STREAM) && says.contains(why) && says.contains("raise its limits"),
        "{says}"
    );
}

async fn is_ready(shipping: &Running) {
    within(GOES_ON_WITHIN, "it is ready", async || {
        shipping.not_ready().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_full_dead_letter_stream_loses_no_poison() {
    let (log, _guard) = Log::listen();
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let operator = connect_to(server.url()).await;
    let _payments = payments().start(operator.clone()).await.unwrap();
    let js = operator.jetstream();
    let full = Config {
        name: wire::DLQ_STREAM.into(),
        subjects: vec!["dlq.>".into()],
        max_bytes: 1,
        discard: DiscardPolicy::New,
        ..Default::default()
    };
    js.create_stream(full.clone()).await.unwrap();
    let nats = connect_to(server.url()).await;
    let shipping = shipping(&seen).start(nats).await.unwrap();
    publish_raw(server.port(), SUBJECT, NO_COLON, PAYLOAD);
    publish_raw(server.port(), SUBJECT, NO_COLON, PAYLOAD);
    is_told(&log, &shipping, &operator, "maximum bytes").await;
    // It is tried again and again, and nobody is told of it each time.
    log.forget();
    within(GOES_ON_WITHIN * 2, "both are tried again", async || {
        log.count(LOOKED) >= 2 && consumer(&operator, CONSUMER).await.num_ack_pending == 2
    })
    .await;
    assert_eq!((told(&operator).await.len(), log.count(NOT_STORED)), (1, 0));
    let roomy = Config {
        max_bytes: -1,
        ..full.clone()
    };
    js.update_stream(roomy).await.unwrap();
    nothing_waits(&operator, CONSUMER).await;
    assert_eq!(letters(&operator).await.len(), 2);
    is_ready(&shipping).await;
    // Full once more, after letters were stored: only now it is told again.
    let full = Config {
        max_bytes: -1,
        max_messages: 2,
        ..full
    };
    js.update_stream(full).await.unwrap();
    publish_raw(server.port(), SUBJECT, NO_COLON, PAYLOAD);
    within(GOES_ON_WITHIN, "it is told again", async || {
        told(&operator).await.len() == 2
    })
    .await;
}

/// A user who may not store a letter may do so later: no connection has to be lost for it.
#[tokio::test]
async fn a_letter_that_this_user_may_not_store_is_stored_once_it_is_granted() {
    let (log, _guard) = Log::listen();
    let (nats, seen) = (
        Reloadable::start(&users(r#"publish: { deny: ["dlq.>"] }"#)),
        Seen::default(),
    );
    let admin = nats.admin().await;
    let _payments = payments().start(admin.clone()).await.unwrap();
    let service = connect_as(&nats.server, "service").await;
    let shipping = shipping(&seen).start(service.clone()).await.unwrap();
    let login = r#","user":"admin","pass":"admin""#;
    publish_raw_as(nats.server.port(), login, SUBJECT, NO_COLON, PAYLOAD);
    is_told(&log, &shipping, &admin, "may not publish to `dlq.shipping.note.").await;
    let connects = || service.client().statistics().connects.load(Ordering::Relaxed);
    let before = connects();
    nats.reload(&users("")).await;
    nothing_waits(&admin, CONSUMER).await;
    assert_eq!(connects(), before, "before it is delivered again");
    assert_eq!(letters(&admin).await.len(), 1);
    is_ready(&shipping).await;
}
