//! What another client's consumer gives up is told of.

use std::time::Duration;

use futures_util::StreamExt;
use tidewire::{
    async_nats::jetstream::{AckKind, consumer::pull},
    prelude::*,
};

use crate::support::{PAYMENTS, Seen, connect, jetstream, note, payments, processed, server};

/// A consumer of ours never gives up. Another client's with a `max_deliver` does, in silence, and the message stays.
#[tokio::test]
async fn a_message_that_a_foreign_consumer_gives_up_is_an_error_event() {
    let server = server();
    let client = connect(&server).await;
    let service = payments().state(Seen::default()).on(durable("note", note));
    let running = service.start(client.clone()).await.unwrap();
    let mut told = client.subscribe("errors.payments.*").await.unwrap();
    client.flush().await.unwrap();

    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let foreign = stream
        .create_consumer(pull::Config {
            durable_name: Some("BILLING".into()),
            max_deliver: 2,
            ..Default::default()
        })
        .await
        .unwrap();
    running.bus().publish(&processed("p-1")).await.unwrap();
    // After the second nak the server gives up at once.
    let mut deliveries = foreign.messages().await.unwrap();
    for _ in 0..2 {
        let message = deliveries.next().await.unwrap().unwrap();
        message.ack_with(AckKind::Nak(None)).await.unwrap();
    }

    let event = tokio::time::timeout(Duration::from_secs(30), told.next()).await;
    let event = event.expect("told within 30 s").unwrap();
    assert_eq!(event.subject.as_str(), "errors.payments.BILLING");
    let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
    let details = &body["data"]["details"];
    assert_eq!(body["data"]["code"], "max_deliveries");
    assert_eq!(
        (&details["stream"], &details["sequence"], &details["attempt"]),
        (&PAYMENTS.into(), &1.into(), &2.into())
    );
    assert_eq!(details["then"], "given_up");
    assert!(stream.get_raw_message(1).await.is_ok(), "it is still there");
}
