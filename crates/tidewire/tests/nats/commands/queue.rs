//! The queue itself: its stream, what is in it, and what others put there.

use std::time::Duration;

use tidewire::{
    Any,
    async_nats::{
        HeaderMap,
        jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
    prelude::*,
};

use super::{BookParcel, QUEUE, book, carrier, note_parcel, shop};
use crate::support::{PAYMENTS, Seen, connect, eventually, jetstream, kept_reach, payments, quiet, server};

async fn config(client: &tidewire::async_nats::Client) -> Config {
    let queue = jetstream(client).get_stream(QUEUE).await.unwrap();
    queue.cached_info().config.clone()
}

#[tokio::test]
async fn a_queue_is_the_stream_of_the_contract_and_needs_no_events() {
    let server = server();
    let client = connect(&server).await;
    let seen = Seen::default();
    let running = carrier(&seen).start(client.clone()).await.unwrap();
    let found = config(&client).await;
    assert_eq!(found.subjects, ["queue.orders.shipping.parcel.book.*"]);
    assert_eq!(
        (found.retention, found.storage, found.discard),
        (RetentionPolicy::Limits, StorageType::File, DiscardPolicy::New)
    );
    let day = Duration::from_secs(86_400);
    assert_eq!((found.max_age, found.num_replicas), (14 * day, 1));
    assert!(found.deny_delete && found.deny_purge && found.allow_direct);
    assert!(!found.allow_rollup && !found.allow_message_schedules && !found.allow_atomic_publish);
    assert!(
        jetstream(&client).get_stream("ORDERS__SHIPPING").await.is_err(),
        "no event, no stream"
    );
    let context = &running.manifest().contexts[0];
    assert_eq!(context.queue, found.subjects);
    assert!(context.subjects.is_empty());
    running.stop().await.unwrap();

    let longer = Context::new("orders.shipping").queue_max_age(30 * day);
    let again = Service::new("carrier", "1.0.1").state(seen).context(longer);
    let again = again
        .on(durable("book", note_parcel))
        .start(client.clone())
        .await
        .unwrap();
    let grown = config(&client).await;
    assert_eq!(grown.max_age, 30 * day);
    assert_eq!(
        again.manifest().contexts[0].settings["queue_max_age_seconds"],
        2_592_000.0
    );
}

#[tokio::test]
async fn what_is_queued_is_the_command_as_ever_under_a_prefix() {
    let server = server();
    let client = connect(&server).await;
    let _carrier = carrier(&Seen::default()).start(client.clone()).await.unwrap();
    let shop = shop(&client).await;
    let stored = shop.bus().send(&book("p.1")).await.unwrap();
    let queue = jetstream(&client).get_stream(QUEUE).await.unwrap();
    let message = queue.get_raw_message(stored.sequence).await.unwrap();
    assert_eq!(
        message.subject.as_str(),
        "queue.orders.shipping.parcel.book.p=2E1"
    );
    let header = |name: &str| {
        message
            .headers
            .get(name)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    assert_eq!(header("Tw-Subject"), "orders.shipping.parcel.book.p=2E1");
    assert_eq!(header("Nats-Expected-Stream"), QUEUE);
    let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(
        (&body["type"], &body["metadata"]["key"]),
        (&"command".into(), &"p.1".into())
    );
    assert_eq!(body["metadata"]["name"], "orders.shipping.parcel.book");
    assert_eq!(header("Nats-Msg-Id"), body["id"].as_str().unwrap());
    assert_eq!(header("Tw-Name"), "orders.shipping.parcel.book");
    assert_eq!(shop.manifest().sends, ["orders.shipping.parcel.book"]);
}

fn body(kind: &str, payment_id: &str) -> bytes::Bytes {
    let head = format!(r#""type":"{kind}","id":"{payment_id}","timestamp":"2024-03-20T10:00:00Z""#);
    format!(r#"{{{head},"data":{{"payment_id":"{payment_id}"}}}}"#).into()
}

/// What a program needs to know: the subject and five fields.
#[tokio::test]
async fn a_plain_client_queues_a_command_without_knowing_the_header() {
    let (server, booked) = (server(), Seen::default());
    let _carrier = carrier(&booked).start(connect(&server).await).await.unwrap();
    let plain = tidewire::async_nats::connect(server.url()).await.unwrap();
    let subject = "queue.orders.shipping.parcel.book.p";
    plain.publish(subject, body("command", "p")).await.unwrap();
    plain.flush().await.unwrap();
    booked.reaches(1).await;
    assert_eq!(booked.sorted(), ["p"]);
}

/// A permission to queue one command would otherwise be one to queue any of the context's.
#[tokio::test]
async fn a_command_that_says_it_is_another_is_malformed() {
    let (server, booked) = (server(), Seen::default());
    let client = connect(&server).await;
    let carrier = carrier(&booked).start(client.clone()).await.unwrap();
    let js = jetstream(&client);
    let tw_subject = |real: &str| {
        let mut headers = HeaderMap::new();
        headers.append("tw-subject", real.to_owned().as_str());
        headers
    };
    for (key, headers, kind) in [
        (
            "other-key",
            tw_subject("orders.shipping.parcel.book.p-9"),
            "command",
        ),
        (
            "other-name",
            tw_subject("orders.shipping.parcel.lose.other-name"),
            "command",
        ),
        ("event", HeaderMap::new(), "event"),
        ("good", tw_subject("orders.shipping.parcel.book.good"), "command"),
    ] {
        let subject = format!("queue.orders.shipping.parcel.book.{key}");
        let stored = js.publish_with_headers(subject, headers, body(kind, key));
        stored.await.unwrap().await.unwrap();
    }
    eventually("all were read", async || {
        let counts = carrier.tally().get("carrier__book").cloned().unwrap_or_default();
        counts.values().sum::<u64>() == 4
    })
    .await;
    let counts = &carrier.tally()["carrier__book"];
    assert_eq!((counts["malformed"], counts["handled"]), (3, 1));
    assert_eq!(booked.sorted(), ["good"]);
    // The others are dead letters.
    assert_eq!(kept_reach(&client, 3).await.len(), 3);
    quiet(&client, QUEUE, "carrier__book").await;
}

async fn note_any(State(seen): State<Seen>, Event(any): Event<Any>) {
    seen.note(any.name);
}

/// Whoever reads everything means every event: a command in its queue is for the one who works it.
#[tokio::test]
async fn a_wide_filter_reads_no_queue() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let _carrier = carrier(&Seen::default()).start(client.clone()).await.unwrap();
    let all = Service::new("all", "1.0.0")
        .state(seen)
        .on(durable("all", note_any).filter(">"));
    let _all = all.start(client.clone()).await.unwrap();
    let js = jetstream(&client);
    let has_reader = async |stream| {
        let stream = js.get_stream(stream).await.unwrap();
        stream.consumer_info("all__all").await.is_ok()
    };
    assert!(has_reader(PAYMENTS).await && !has_reader(QUEUE).await);
}

/// A queue is read as it is by who asks for it, in an archive say.
#[tokio::test]
async fn a_queue_can_be_read_raw_beside_its_worker() {
    let (server, booked, archived) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let _carrier = carrier(&booked).start(client.clone()).await.unwrap();
    let archive = Service::new("archive", "1.0.0")
        .state(archived.clone())
        .on(durable("all", note_raw).filter("queue.orders.>"));
    let _archive = archive.start(client.clone()).await.unwrap();
    let command = BookParcel {
        payment_id: "p".into(),
    };
    shop(&client).await.bus().send(&command).await.unwrap();
    archived.reaches(1).await;
    booked.reaches(1).await;
    assert_eq!(archived.sorted(), ["orders.shipping.parcel.book.p"]);
}

async fn note_raw(State(seen): State<Seen>, message: tidewire::extract::Raw) {
    seen.note(message.subject);
}
