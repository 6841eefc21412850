//! Programs that know the envelope and nothing of Tidewire.

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

use crate::support::{Kept, PAYMENTS, Seen, connect, eventually, kept_reach, quiet, server};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.process")]
struct Process {
    amount: u64,
}

async fn take(State(seen): State<Seen>, Event(process): Event<Process>) {
    seen.note(process.amount.to_string());
}

fn service(seen: &Seen) -> Service<Seen> {
    Service::new("payments", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .publishes::<Process>()
        .on(durable("take", take))
}

/// The mission's own example, as it was written.
#[tokio::test]
async fn a_plain_client_reaches_a_typed_handler_and_reads_what_we_send() {
    let (server, seen) = (server(), Seen::default());
    let running = service(&seen).start(connect(&server).await).await.unwrap();
    let plain = tidewire::async_nats::connect(server.url()).await.unwrap();
    let body = r#"{"type":"event","id":"evt_123","timestamp":"2024-03-20T10:00:00Z",
        "data":{"amount":42},"metadata":{"anything":["at","all"]}}"#;
    plain
        .publish("orders.payments.process", body.into())
        .await
        .unwrap();
    plain.flush().await.unwrap();
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), ["42"]);

    let mut heard = plain.subscribe("orders.payments.>").await.unwrap();
    plain.flush().await.unwrap();
    eventually("the plain client hears ours", async || {
        running.bus().publish(&Process { amount: 7 }).await.unwrap();
        let next = tokio::time::timeout(std::time::Duration::from_millis(200), heard.next()).await;
        next.is_ok_and(|message| {
            let message = message.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            message.subject.as_str() == "orders.payments.process"
                && body["type"] == "event"
                && body["data"]["amount"] == 7
        })
    })
    .await;
}

/// What cannot be understood is a dead letter at once and ends nothing.
#[tokio::test]
async fn messages_that_do_not_decode_never_end_a_consumer() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _running = service(&seen).start(client.clone()).await.unwrap();
    let envelope = |kind: &str, data: &str, metadata: &str| {
        format!(
            r#"{{"type":"{kind}","id":"x","timestamp":"2024-03-20T10:00:00Z","data":{data},"metadata":{metadata}}}"#
        )
    };
    let bad = [
        String::new(),
        "not json".into(),
        "[".repeat(100_000),
        envelope("command", r#"{"amount":1}"#, "{}"),
        envelope("rumour", r#"{"amount":1}"#, "{}"),
        envelope("event", r#"{"amount":"many"}"#, "{}"),
        envelope("event", r#"{"amount":1}"#, r#"{"version":99}"#),
        envelope(
            "event",
            r#"{"amount":1}"#,
            r#"{"name":"orders.payments.payment.refunded"}"#,
        ),
    ];
    let js = crate::support::jetstream(&client);
    for body in &bad {
        js.publish("orders.payments.process", body.clone().into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    js.publish(
        "orders.payments.process",
        envelope("event", r#"{"amount":1}"#, "{}").into(),
    )
    .await
    .unwrap()
    .await
    .unwrap();
    seen.reaches(1).await;
    let letters = kept_reach(&client, bad.len()).await;
    quiet(&client, PAYMENTS, "payments__take").await;
    let payload = |letter: &Kept| letter.record.original.clone().unwrap().payload;
    let mut stored: Vec<_> = letters.iter().map(payload).collect();
    let mut sent: Vec<_> = bad.iter().map(|body| body.clone().into_bytes()).collect();
    stored.sort();
    sent.sort();
    assert_eq!(stored, sent, "each of them, byte for byte");
    assert!(
        letters
            .iter()
            .all(|letter| letter.record.trouble.as_ref().unwrap().attempts == 1)
    );
    assert_eq!(seen.len(), 1);
}
