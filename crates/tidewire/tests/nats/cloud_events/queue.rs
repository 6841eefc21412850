//! Commands that come to their queue as `CloudEvents`.

use serde_json::json;
use tidewire::{Format, MessageId, prelude::*};

use super::{BOOK, BookParcel, attributes, written};
use crate::support::{Seen, connect, jetstream, kept_reach, quiet, server};

const QUEUE: &str = "ORDERS__SHIPPING__QUEUE";

async fn work(State(seen): State<Seen>, id: MessageId, Command(book): Command<BookParcel>) {
    seen.note(format!("{id} {}", book.payment_id));
}

#[tokio::test]
async fn a_command_that_comes_to_its_queue_as_a_cloud_event_is_worked() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let carrier = Service::new("carrier", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("book", work));
    let carrier = carrier.start(client.clone()).await.unwrap();
    let js = jetstream(&client);
    let mut sent = Vec::new();
    for (id, format) in [
        ("binary", Format::CloudEventsBinary),
        ("structured", Format::CloudEventsStructured),
    ] {
        for kind in [Some("command"), None] {
            let mut attributes = attributes([
                ("specversion", "1.0"),
                ("id", id),
                ("source", "/till"),
                ("type", BOOK),
            ]);
            attributes.extend(kind.map(|kind| ("twkind".to_owned(), kind.to_owned())));
            let (headers, body) = written(format, &attributes, &json!({"payment_id": "p"}));
            if kind.is_none() {
                sent.push(body.clone().into_bytes());
            }
            let stored = js.publish_with_headers(format!("queue.{BOOK}.p"), headers, body.into());
            assert_eq!(stored.await.unwrap().await.unwrap().stream, QUEUE);
        }
    }
    seen.reaches(2).await;
    let letters = kept_reach(&client, 2).await;
    quiet(&client, QUEUE, "carrier__book").await;
    assert_eq!(seen.sorted(), ["binary p", "structured p"]);
    // Those that say not what they are.
    for letter in &letters {
        let trouble = letter.record.trouble.as_ref().unwrap();
        assert_eq!(
            (trouble.class.as_str(), trouble.error.as_str()),
            (
                "malformed",
                "`orders.shipping.parcel.book` came with type `event`, and the handler takes type `command`"
            )
        );
    }
    let original = |letter: &crate::support::Kept| letter.record.original.clone().unwrap().payload;
    let mut kept: Vec<_> = letters.iter().map(original).collect();
    kept.sort();
    sent.sort();
    assert_eq!(kept, sent, "byte for byte");
    let tally = &carrier.tally()["carrier__book"];
    assert_eq!((tally["handled"], tally["malformed"]), (2, 2));
}
