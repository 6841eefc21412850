//! Two messages that fail: one that is handled at its second run, and one that becomes a dead letter.

use std::time::Duration;

use serde_json::Value;
use tidewire::{Connection, dead_letter::Act, prelude::*, wire};

use crate::{
    poison::{Letter, letters},
    support::{PAYMENTS, PaymentProcessed, Seen, WELL_WITHIN, processed, stored, within},
};

/// Fails as the key says: `again` the first time, `never` for good.
async fn stumble(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    seen.note(format!("{} {attempt}", paid.payment_id));
    match (paid.payment_id.as_str(), attempt) {
        ("again", 1) => Err("as a test does").or_retry(),
        ("never", _) => Err("as a test does").or_reject(),
        _ => Ok(()),
    }
}

/// Reads the payments' stream through the consumer `cashier__note`, and stumbles.
pub(crate) fn cashier(seen: &Seen) -> Service<Seen> {
    let patient = Retry::fixed(Duration::from_millis(20)).max_attempts(3);
    Service::new("cashier", "1.0.0")
        .state(seen.clone())
        .on(durable("note", stumble).retry(patient))
}

/// Publishes both, waits until they are settled, and looks at what is kept and told of them.
pub(crate) async fn both_come_to_their_ends(bus: &Bus, operator: &Connection, seen: &Seen) {
    for key in ["again", "never"] {
        bus.publish(&processed(key)).await.unwrap();
    }
    let stream = operator.jetstream().get_stream(PAYMENTS).await.unwrap();
    within(WELL_WITHIN, "both are settled", async || {
        let info = stream.consumer_info("cashier__note").await.unwrap();
        seen.len() >= 3 && (info.num_pending, info.num_ack_pending) == (0, 0)
    })
    .await;
    let mut runs = seen.all();
    runs.sort();
    assert_eq!(runs, ["again 1", "again 2", "never 1"]);
    let letters = letters(operator).await;
    let [Letter { subject, record }] = letters.as_slice() else {
        panic!("{} letters", letters.len());
    };
    assert!(subject.starts_with("dlq.cashier.note."), "{subject}");
    let original = record.original.as_ref().unwrap();
    assert_eq!(original.subject, "orders.payments.payment.processed.never");
    let trouble = record.trouble.as_ref().unwrap();
    assert_eq!(
        (record.act, &*trouble.class, trouble.attempts),
        (Act::Failed, "rejected", 1)
    );
    // Error events go out beside the work.
    within(WELL_WITHIN, "both failures are told", async || {
        stored(operator, wire::ERRORS_STREAM).await == 2
    })
    .await;
    assert_eq!(
        told(operator).await,
        [
            "failed retry orders.payments.payment.processed.again",
            "rejected dead_letter orders.payments.payment.processed.never",
        ]
    );
}

/// The error events so far: of which class, what follows, and of which message.
async fn told(nats: &Connection) -> Vec<String> {
    let stream = nats.jetstream().get_stream(wire::ERRORS_STREAM).await.unwrap();
    let mut told = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let event = stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(event.subject.as_str(), "errors.cashier.note");
        let body: Value = serde_json::from_slice(&event.payload).unwrap();
        let (data, details) = (&body["data"], &body["data"]["details"]);
        let words = [&data["code"], &details["then"], &details["subject"]];
        told.push(words.map(|word| word.as_str().unwrap()).join(" "));
    }
    told.sort();
    told
}
