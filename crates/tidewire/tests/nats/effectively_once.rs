//! One effect for one message.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Running, StartError,
    async_nats::{Client, HeaderMap, HeaderValue},
    extract::IdempotencyKey,
    prelude::*,
};

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, limit_messages,
    payments, processed, quiet, server,
};

const PARCELS: &str = "ORDERS__SHIPPING";

async fn ship(
    State(seen): State<Seen>,
    IdempotencyKey(key): IdempotencyKey,
    booked: Emit<ParcelBooked>,
    Event(paid): Event<PaymentProcessed>,
) {
    seen.note(key);
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
}

async fn shipping(seen: &Seen, client: &Client) -> Running {
    let durable = durable("ship", ship)
        .retry(Retry::fixed(Duration::from_millis(50)))
        .effectively_once();
    let context = Context::new("orders.shipping").duplicate_window(Duration::from_millis(100));
    let service = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .context(context)
        .on(durable);
    service.start(client.clone()).await.unwrap()
}

async fn parcels(client: &Client) -> u64 {
    let stream = jetstream(client).get_stream(PARCELS).await.unwrap();
    stream.cached_info().state.messages
}

/// Publishes a copy of the first message: as a sender does that came back after the duplicate window.
async fn publish_again(client: &Client, copy: usize) {
    let stream = jetstream(client).get_stream(PAYMENTS).await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.append(
        "Nats-Msg-Id",
        format!("copy-{copy}").parse::<HeaderValue>().unwrap(),
    );
    let js = jetstream(client);
    let sent = js.publish_with_headers(first.subject, headers, first.payload);
    sent.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_published_again_has_no_second_effect() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = shipping(&seen, &client).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    eventually("it is shipped", async || parcels(&client).await == 1).await;
    // The stream of the parcels forgets ids after 100 ms, as every stream does at some time.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for copy in 0..3 {
        publish_again(&client, copy).await;
    }
    payments.bus().publish(&processed("q")).await.unwrap();
    quiet(&client, PAYMENTS, "shipping__ship").await;
    assert_eq!(
        consumer(&client, PAYMENTS, "shipping__ship")
            .await
            .ack_floor
            .stream_sequence,
        5
    );
    assert_eq!(seen.len(), 2, "each of the two has run once");
    assert_ne!(seen.sorted()[0], seen.sorted()[1]);
    let stream = jetstream(&client).get_stream(PARCELS).await.unwrap();
    let last = stream
        .get_last_raw_message_by_subject("orders.shipping.parcel.booked.p")
        .await
        .unwrap();
    // What is on record is sent again, for whoever sent it may have died before; the receiver knows it by its id.
    let first: serde_json::Value =
        serde_json::from_slice(&stream.get_raw_message(1).await.unwrap().payload).unwrap();
    let last: serde_json::Value = serde_json::from_slice(&last.payload).unwrap();
    assert_eq!(first, last);
}

/// The record is the point at which it is done: what could not be sent then is sent by the next attempt, and nothing
/// runs for it.
#[tokio::test]
async fn what_is_on_record_and_not_sent_is_sent_later() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = shipping(&seen, &client).await;
    payments.bus().publish(&processed("first")).await.unwrap();
    eventually("it is shipped", async || parcels(&client).await == 1).await;
    limit_messages(&client, PARCELS, 1).await;
    payments.bus().publish(&processed("second")).await.unwrap();
    // A stream that is full is no fault of the message: it waits in hand, and nothing is spent on it.
    eventually("it was tried", async || {
        let tally = shipping.tally();
        let counts = tally.get("shipping__ship");
        counts.is_some_and(|counts| counts.contains_key("unavailable"))
    })
    .await;
    limit_messages(&client, PARCELS, -1).await;
    quiet(&client, PAYMENTS, "shipping__ship").await;
    assert_eq!((parcels(&client).await, seen.len()), (2, 2));
}

#[tokio::test]
async fn a_policy_that_outlives_the_memory_is_refused() {
    let server = server();
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let forever = Retry::fixed(Duration::from_secs(3600)).max_attempts(1000);
    let durable = durable("ship", ship).retry(forever).effectively_once();
    let service = Service::new("shipping", "1.0.0")
        .state(Seen::default())
        .context(Context::new("orders.shipping"));
    let error = service.on(durable).start(client).await.unwrap_err();
    assert!(matches!(error, StartError::Declaration { .. }));
    assert!(error.to_string().contains("fewer attempts"), "{error}");
}

#[derive(Command, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[command(subject = "orders.shipping.parcel.book", key = payment_id)]
struct BookParcel {
    payment_id: String,
}

const QUEUE: &str = "ORDERS__SHIPPING__QUEUE";

async fn pay(State(seen): State<Seen>, parcels: Dispatch<BookParcel>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id.clone());
    parcels.dispatch(BookParcel {
        payment_id: paid.payment_id,
    });
}

async fn book(State(seen): State<Seen>, Command(parcel): Command<BookParcel>) {
    seen.note(parcel.payment_id);
}

/// The receiver, which keeps the queue by the context's settings.
async fn carrier(seen: &Seen, context: Context, client: &Client) -> Running {
    let service = Service::new("carrier", "1.0.0")
        .state(seen.clone())
        .context(context)
        .on(durable("book", book).effectively_once());
    service.start(client.clone()).await.unwrap()
}

async fn shop(seen: &Seen, client: &Client) -> Running {
    let service = Service::new("shop", "1.0.0")
        .state(seen.clone())
        .on(durable("pay", pay).effectively_once());
    service.start(client.clone()).await.unwrap()
}

async fn queued(client: &Client) -> u64 {
    let queue = jetstream(client).get_stream(QUEUE).await.unwrap();
    queue.cached_info().state.messages
}

#[tokio::test]
async fn a_message_that_is_published_again_dispatches_no_second_command() {
    let (server, paid, booked) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _carrier = carrier(&booked, Context::new("orders.shipping"), &client).await;
    let _shop = shop(&paid, &client).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    // What is in the queue is on record: a copy that comes earlier may run beside it.
    eventually("it is dispatched", async || queued(&client).await == 1).await;
    for copy in 0..3 {
        publish_again(&client, copy).await;
    }
    payments.bus().publish(&processed("q")).await.unwrap();
    quiet(&client, PAYMENTS, "shop__pay").await;
    quiet(&client, QUEUE, "carrier__book").await;
    assert_eq!(paid.sorted(), ["p", "q"], "each of the two has run once");
    assert_eq!(queued(&client).await, 2, "one command for each");
    assert_eq!(booked.sorted(), ["p", "q"]);
}

/// A queue recognises an id for some time only. What is on record is then in it again, as the same command.
#[tokio::test]
async fn a_command_that_its_queue_has_forgotten_is_worked_once() {
    let (server, paid, booked) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let context = Context::new("orders.shipping").duplicate_window(Duration::from_millis(100));
    let _carrier = carrier(&booked, context, &client).await;
    let _shop = shop(&paid, &client).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    booked.reaches(1).await;
    quiet(&client, QUEUE, "carrier__book").await;
    let mut copies = 0;
    eventually("it is in the queue again", async || {
        publish_again(&client, copies).await;
        copies += 1;
        queued(&client).await > 1
    })
    .await;
    quiet(&client, PAYMENTS, "shop__pay").await;
    quiet(&client, QUEUE, "carrier__book").await;
    assert_eq!((paid.len(), booked.len()), (1, 1));
    let queue = jetstream(&client).get_stream(QUEUE).await.unwrap();
    let first = queue.get_raw_message(1).await.unwrap();
    for sequence in 2..=queue.cached_info().state.last_sequence {
        let again = queue.get_raw_message(sequence).await.unwrap();
        assert_eq!(
            (again.subject, again.payload),
            (first.subject.clone(), first.payload.clone())
        );
    }
}

/// Whoever reads first never came to write, which made it again: the breaker stayed open.
#[tokio::test]
async fn a_bucket_that_is_deleted_is_made_again_and_the_rest_flows() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = shipping(&seen, &client).await;
    payments.bus().publish(&processed("one")).await.unwrap();
    eventually("it is shipped", async || parcels(&client).await == 1).await;
    let js = jetstream(&client);
    js.delete_key_value("TW_SHIPPING_INBOX").await.unwrap();
    js.delete_key_value("TW_SHIPPING_RUNS").await.unwrap();
    payments.bus().publish(&processed("two")).await.unwrap();
    eventually("the next is shipped", async || parcels(&client).await == 2).await;
    publish_again(&client, 1).await;
    quiet(&client, PAYMENTS, "shipping__ship").await;
    assert!(shipping.not_ready().is_empty() && shipping.degraded().is_empty());
    let inbox = js.get_key_value("TW_SHIPPING_INBOX").await.unwrap();
    assert!(inbox.status().await.unwrap().values() >= 1);
}
