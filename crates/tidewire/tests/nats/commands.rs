//! Durable commands: from one service through the queue of another.

mod failing;
mod queue;
mod refused;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Running, async_nats::Client, extract::Delivery, prelude::*};

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, payments,
    processed, quiet, server,
};

#[derive(Command, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[command(subject = "orders.shipping.parcel.book", key = payment_id, reply = u32)]
pub(crate) struct BookParcel {
    pub(crate) payment_id: String,
}

pub(crate) const QUEUE: &str = "ORDERS__SHIPPING__QUEUE";

fn book(payment_id: impl Into<String>) -> BookParcel {
    BookParcel {
        payment_id: payment_id.into(),
    }
}

async fn note_parcel(State(seen): State<Seen>, Command(parcel): Command<BookParcel>) {
    seen.note(parcel.payment_id);
}

/// The receiver: it works the queue, and so it keeps it.
fn carrier(seen: &Seen) -> Service<Seen> {
    Service::new("carrier", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("book", note_parcel))
}

/// A sender with a bus, once the receiver has made the queue.
async fn shop(client: &Client) -> Running {
    let shop = Service::new("shop", "1.0.0").sends::<BookParcel>();
    shop.start(client.clone()).await.unwrap()
}

async fn queued(client: &Client) -> u64 {
    let queue = jetstream(client).get_stream(QUEUE).await.unwrap();
    queue.cached_info().state.messages
}

/// Dispatches at each attempt, and succeeds at the second.
async fn pay_at_last(
    Attempt(attempt): Attempt,
    parcels: Dispatch<BookParcel>,
    State(seen): State<Seen>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    parcels.dispatch(book(format!("{}-{attempt}", paid.payment_id)));
    seen.note("tried");
    if attempt == 1 {
        return Err("not yet").or_retry_after(std::time::Duration::from_millis(50));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_handler_dispatches_leaves_only_if_it_succeeds() {
    let (server, tries, booked) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _carrier = carrier(&booked).start(client.clone()).await.unwrap();
    let shop = Service::new("shop", "1.0.0")
        .state(tries.clone())
        .on(durable("pay", pay_at_last));
    let _shop = shop.start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    booked.reaches(1).await;
    eventually("the payment is acked", async || {
        consumer(&client, PAYMENTS, "shop__pay")
            .await
            .ack_floor
            .stream_sequence
            == 1
    })
    .await;
    // The command of the attempt that failed is nowhere.
    assert_eq!((tries.len(), booked.sorted()), (2, vec!["p-2".to_owned()]));
    assert_eq!(queued(&client).await, 1);
}

async fn pay(
    booked: Emit<ParcelBooked>,
    parcels: Dispatch<BookParcel>,
    Event(paid): Event<PaymentProcessed>,
) {
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id.clone(),
    });
    parcels.dispatch(book(paid.payment_id));
}

/// A shop that keeps the stream of what it emits. The context is the carrier's too.
fn shop_that_emits() -> Service {
    Service::new("shop", "1.0.0")
        .context(Context::new("orders.shipping"))
        .on(durable("pay", pay))
}

/// The same event stored twice: the easy version, with a new id for each run, books two parcels.
#[tokio::test]
async fn an_input_that_comes_again_sends_the_same_command() {
    let (server, booked) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let _carrier = carrier(&booked).start(client.clone()).await.unwrap();
    let _shop = shop_that_emits().start(client.clone()).await.unwrap();
    let body =
        r#"{"type":"event","id":"evt_1","timestamp":"2024-03-20T10:00:00Z","data":{"payment_id":"p"}}"#;
    let js = jetstream(&client);
    for _ in 0..2 {
        let stored = js.publish("orders.payments.payment.processed.p", body.into());
        stored.await.unwrap().await.unwrap();
    }
    eventually("both are handled", async || {
        consumer(&client, PAYMENTS, "shop__pay")
            .await
            .ack_floor
            .stream_sequence
            == 2
    })
    .await;
    assert_eq!(queued(&client).await, 1);
    let queue = js.get_stream(QUEUE).await.unwrap();
    let command = queue.get_raw_message(1).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&command.payload).unwrap();
    assert_eq!(body["metadata"]["causation_id"], "evt_1");
    assert_eq!(body["metadata"]["correlation_id"], "evt_1");
    assert!(body["id"].as_str().unwrap().starts_with("cmd_"), "{body}");
}

/// Events and commands are one list: where one of them cannot be written, none of them leaves.
#[tokio::test]
async fn a_command_that_cannot_be_written_keeps_the_events_before_it() {
    let (server, booked) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _carrier = carrier(&booked).start(client.clone()).await.unwrap();
    let shop = shop_that_emits().on(durable("long", pay_with_a_long_key));
    let shop = shop.start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    eventually("it was tried", async || shop.tally().contains_key("shop__long")).await;
    eventually("the other is handled", async || {
        shop.tally()
            .get("shop__pay")
            .is_some_and(|counts| counts["handled"] == 1)
    })
    .await;
    assert_eq!(shop.tally()["shop__long"], BTreeMap::from([("rejected", 1)]));
    let events = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
    assert_eq!(events.cached_info().state.messages, 1);
}

async fn pay_with_a_long_key(
    booked: Emit<ParcelBooked>,
    parcels: Dispatch<BookParcel>,
    Event(paid): Event<PaymentProcessed>,
) {
    booked.emit(ParcelBooked {
        payment_id: format!("{}-long", paid.payment_id),
    });
    parcels.dispatch(book("x".repeat(129)));
}

#[tokio::test]
async fn a_command_waits_for_a_receiver_that_is_down() {
    let (server, booked) = (server(), Seen::default());
    let client = connect(&server).await;
    let first = carrier(&Seen::default()).start(client.clone()).await.unwrap();
    let shop = shop(&client).await;
    first.stop().await.unwrap();
    for key in ["a", "b.c", "*"] {
        let stored = shop.bus().send(&book(key)).await.unwrap();
        assert_eq!(stored.stream, QUEUE);
    }
    let second = carrier(&booked).start(client.clone()).await.unwrap();
    booked.reaches(3).await;
    second.stop().await.unwrap();
    assert_eq!(booked.sorted(), ["*", "a", "b.c"]);
    quiet(&client, QUEUE, "carrier__book").await;
}

async fn note_slowly(State(seen): State<Seen>, Command(parcel): Command<BookParcel>) {
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    seen.note(parcel.payment_id);
}

#[tokio::test]
async fn two_instances_share_the_work() {
    let server = server();
    let client = connect(&server).await;
    let (one, two) = (Seen::default(), Seen::default());
    let mut running = Vec::new();
    for seen in [&one, &two] {
        let carrier = Service::new("carrier", "1.0.0")
            .state(seen.clone())
            .context(Context::new("orders.shipping"))
            .on(durable("book", note_slowly).concurrency(2));
        running.push(carrier.start(connect(&server).await).await.unwrap());
    }
    let shop = shop(&client).await;
    for key in 0..200 {
        shop.bus().send(&book(format!("{key:03}"))).await.unwrap();
    }
    eventually("all are worked", async || one.len() + two.len() == 200).await;
    assert!(
        one.len() > 20 && two.len() > 20,
        "{} and {}",
        one.len(),
        two.len()
    );
    let mut all = [one.sorted(), two.sorted()].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}

/// Services of one system start in any order: a queue is its receiver's to make.
#[tokio::test]
async fn a_sender_waits_for_the_receiver_to_make_the_queue() {
    let (server, booked) = (server(), Seen::default());
    let client = connect(&server).await;
    let sender = Service::new("shop", "1.0.0").sends::<BookParcel>();
    let (shop, carrier) = tokio::join!(sender.start(client.clone()), async {
        // Later than the other's first look.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        carrier(&booked).start(connect(&server).await).await
    });
    let (shop, _carrier) = (shop.unwrap(), carrier.unwrap());
    shop.bus().send(&book("p")).await.unwrap();
    booked.reaches(1).await;
}

async fn answer(State(seen): State<Seen>, Command(parcel): Command<BookParcel>) -> u32 {
    seen.note(format!("{} answered", parcel.payment_id));
    7
}

#[tokio::test]
async fn one_service_may_answer_a_command_and_work_its_queue() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let carrier = carrier(&seen).command(answer).asks::<BookParcel>();
    let carrier = carrier.sends::<BookParcel>().start(client.clone()).await.unwrap();
    assert_eq!(carrier.bus().ask(&book("now")).await.unwrap(), 7);
    carrier.bus().send(&book("later")).await.unwrap();
    seen.reaches(2).await;
    assert_eq!(seen.sorted(), ["later", "now answered"]);
    assert_eq!(queued(&client).await, 1);
}

/// Notes what a handler of any message is told of where it was sent to.
async fn note_subject(State(seen): State<Seen>, delivered: Where, _: Command<BookParcel>) {
    seen.note(delivered.0);
}

struct Where(String);

impl<S> tidewire::extract::FromDelivery<S> for Where {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(Self(delivery.subject().to_owned()))
    }
}

#[tokio::test]
async fn a_handler_sees_the_subject_of_the_command_and_not_of_the_queue() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let carrier = Service::new("carrier", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("book", note_subject));
    let _carrier = carrier.start(client.clone()).await.unwrap();
    shop(&client).await.bus().send(&book("p.1")).await.unwrap();
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), ["orders.shipping.parcel.book.p=2E1"]);
}
