//! Several versions of one message at once: each comes to what was declared.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidewire::{AskError, Running, async_nats::Client, prelude::*};

use super::trouble;
use crate::support::{PAYMENTS, Seen, connect, kept_reach, quiet, server};

/// What services of three ages have compiled in.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id)]
struct ProcessedV1 {
    payment_id: String,
    #[schemars(range(max = 1000))]
    euros: u64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id, version = 2, from = ProcessedV1)]
struct ProcessedV2 {
    payment_id: String,
    cents: u64,
}

impl From<ProcessedV1> for ProcessedV2 {
    fn from(old: ProcessedV1) -> Self {
        Self {
            payment_id: old.payment_id,
            cents: old.euros * 100,
        }
    }
}

/// Knows nothing of version 1.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(
    subject = "orders.payments.payment.processed",
    key = payment_id,
    version = 3,
    patch(2 = [
        {"op": "move", "from": "/cents", "path": "/amount"},
        {"op": "add", "path": "/currency", "value": "EUR"},
    ]),
)]
struct ProcessedV3 {
    payment_id: String,
    amount: u64,
    currency: String,
}

/// Knows all three, each by the one before it.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id, version = 3, from = ProcessedV2)]
struct ProcessedOfAll {
    payment_id: String,
    amount: u64,
    currency: String,
}

impl From<ProcessedV2> for ProcessedOfAll {
    fn from(old: ProcessedV2) -> Self {
        Self {
            payment_id: old.payment_id,
            amount: old.cents,
            currency: "CHF".into(),
        }
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.day.closed")]
struct DayClosed {}

#[derive(EventSet)]
enum News {
    Paid(ProcessedV2),
    Closed(DayClosed),
}

fn v1(payment_id: &str, euros: u64) -> ProcessedV1 {
    ProcessedV1 {
        payment_id: payment_id.into(),
        euros,
    }
}

fn v2(payment_id: &str, cents: u64) -> ProcessedV2 {
    ProcessedV2 {
        payment_id: payment_id.into(),
        cents,
    }
}

fn v3(payment_id: &str, amount: u64) -> ProcessedV3 {
    ProcessedV3 {
        payment_id: payment_id.into(),
        amount,
        currency: "USD".into(),
    }
}

async fn producer<E>(client: &Client, name: &str) -> Running
where
    E: tidewire::FreeEvent,
{
    let service = Service::new(name, "1.0.0").context(Context::new("orders.payments"));
    service.publishes::<E>().start(client.clone()).await.unwrap()
}

async fn take(State(seen): State<Seen>, Event(paid): Event<ProcessedV2>) {
    seen.note(format!("single {} {}", paid.payment_id, paid.cents));
}

async fn take_news(State(seen): State<Seen>, Event(news): Event<News>) {
    if let News::Paid(paid) = news {
        seen.note(format!("set {} {}", paid.payment_id, paid.cents));
    }
}

async fn take_batch(State(seen): State<Seen>, Batch(all): Batch<ProcessedV2>) {
    for paid in all {
        seen.note(format!("batch {} {}", paid.payment_id, paid.cents));
    }
}

async fn take_newest(State(seen): State<Seen>, Event(paid): Event<ProcessedV3>) {
    seen.note(format!(
        "newest {} {} {}",
        paid.payment_id, paid.amount, paid.currency
    ));
}

async fn take_all(State(seen): State<Seen>, Event(paid): Event<ProcessedOfAll>) {
    seen.note(format!(
        "all {} {} {}",
        paid.payment_id, paid.amount, paid.currency
    ));
}

fn consumer(seen: &Seen) -> Service<Seen> {
    Service::new("consumer", "2.0.0")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .publishes::<DayClosed>()
        .on(durable("single", take))
        .on(durable("set", take_news))
        .on_batch(2, Duration::from_millis(5), durable("batch", take_batch))
        .on(durable("newest", take_newest))
}

#[tokio::test]
async fn producers_and_consumers_of_three_versions_run_together() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let oldest = producer::<ProcessedV1>(&client, "oldest").await;
    let newest = producer::<ProcessedV3>(&client, "newest").await;
    let consumer = consumer(&seen).on(durable("all", take_all));
    let _consumer = consumer.start(client.clone()).await.unwrap();
    let middle = producer::<ProcessedV2>(&client, "middle").await;
    for count in 0..3 {
        oldest.bus().publish(&v1(&format!("a{count}"), 1)).await.unwrap();
        newest.bus().publish(&v3(&format!("c{count}"), 3)).await.unwrap();
        middle.bus().publish(&v2(&format!("b{count}"), 2)).await.unwrap();
    }
    let mut expected = Vec::new();
    for count in 0..3 {
        for way in ["single", "set", "batch"] {
            expected.push(format!("{way} a{count} 100"));
            expected.push(format!("{way} b{count} 2"));
        }
        expected.push(format!("all a{count} 100 CHF"));
        expected.push(format!("all b{count} 2 CHF"));
        expected.push(format!("all c{count} 3 USD"));
        expected.push(format!("newest b{count} 2 EUR"));
        expected.push(format!("newest c{count} 3 USD"));
    }
    expected.sort();
    seen.reaches(expected.len()).await;
    // Three of version 3 for each of three handlers, and three of version 1 for the newest.
    let letters = kept_reach(&client, 12).await;
    for durable in ["single", "set", "batch", "newest", "all"] {
        quiet(&client, PAYMENTS, &format!("consumer__{durable}")).await;
    }
    assert_eq!(seen.sorted(), expected);
    assert_eq!(letters.len(), 12);
    for letter in &letters {
        let (class, text, attempts) = trouble(letter);
        assert_eq!((class.as_str(), attempts), ("incompatible", 1), "{text}");
        let says = if letter.record.consumer == "consumer__newest" {
            [
                "is version 1 and this service reads it from version 2 on",
                "`patch(1 = …)`",
            ]
        } else {
            [
                "is version 3 and this service knows up to 2",
                "upgrade the service",
            ]
        };
        assert!(says.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[tokio::test]
async fn an_older_version_is_held_against_its_own_schema() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let oldest = producer::<ProcessedV1>(&client, "oldest").await;
    let service = Service::new("consumer", "2.0.0")
        .state(seen.clone())
        .on(durable("single", take))
        .validate_received();
    let _consumer = service.start(client.clone()).await.unwrap();
    oldest.bus().publish(&v1("too-much", 1001)).await.unwrap();
    oldest.bus().publish(&v1("good", 1000)).await.unwrap();
    seen.reaches(1).await;
    let letters = kept_reach(&client, 1).await;
    quiet(&client, PAYMENTS, "consumer__single").await;
    let (class, text, _) = trouble(&letters[0]);
    assert_eq!(class, "invalid");
    assert!(
        text.contains("breaks the schema of version 1: at `/euros`, expected at most 1000"),
        "{text}"
    );
    assert_eq!(seen.sorted(), ["single good 100000"]);
}

#[test]
fn a_manifest_lists_which_versions_each_handler_reads() {
    let manifest = consumer(&Seen::default()).manifest().unwrap();
    let manifest = serde_json::to_value(&manifest).unwrap();
    let name = "orders.payments.payment.processed";
    let versions = |handler: usize| manifest["handlers"][handler]["versions"][name].clone();
    assert_eq!(
        [versions(0), versions(1), versions(2)],
        [json!([1, 2]), json!([1, 2]), json!([1, 2])]
    );
    assert_eq!(versions(3), json!([2, 3]));
    // The newest contract of the service counts, with the way that older ones take to it.
    let message = &manifest["messages"][name];
    assert_eq!(message["version"], 3);
    assert_eq!(message["older"][0]["version"], 2);
    assert_eq!(message["older"][0]["patch"][0]["op"], "move");
    assert!(
        manifest["handlers"][1]["versions"]
            .get("orders.payments.day.closed")
            .is_none()
    );
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process", reply = u64)]
struct ProcessV1 {
    euros: u64,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process", reply = u64, version = 2, from = ProcessV1)]
struct ProcessV2 {
    cents: u64,
}

impl From<ProcessV1> for ProcessV2 {
    fn from(old: ProcessV1) -> Self {
        Self {
            cents: old.euros * 100,
        }
    }
}

/// What a sender has that was upgraded before its receiver.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process", reply = u64, version = 3, patch(2 = []))]
struct ProcessV3 {
    cents: u64,
}

async fn process(Command(process): Command<ProcessV2>) -> u64 {
    process.cents
}

async fn process_later(State(seen): State<Seen>, Command(process): Command<ProcessV2>) {
    seen.note(process.cents.to_string());
}

async fn sender<C: tidewire::CommandMessage>(client: &Client, name: &str) -> Running {
    let service = Service::new(name, "1.0.0").asks::<C>().sends::<C>();
    service.start(client.clone()).await.unwrap()
}

#[tokio::test]
async fn commands_of_three_versions_are_asked_and_sent() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = Service::new("payments", "2.0.0")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .command(process)
        .on(durable("later", process_later));
    let _payments = payments.start(client.clone()).await.unwrap();
    let oldest = sender::<ProcessV1>(&client, "oldest").await;
    let newest = sender::<ProcessV3>(&client, "newest").await;
    assert_eq!(oldest.bus().ask(&ProcessV1 { euros: 7 }).await.unwrap(), 700);
    let error = newest.bus().ask(&ProcessV3 { cents: 7 }).await.unwrap_err();
    let AskError::Refused { error, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((error.code.as_str(), error.retryable), ("incompatible", false));
    assert!(error.message.contains("upgrade the service"), "{error:?}");

    newest.bus().send(&ProcessV3 { cents: 7 }).await.unwrap();
    oldest.bus().send(&ProcessV1 { euros: 7 }).await.unwrap();
    seen.reaches(1).await;
    let letters = kept_reach(&client, 1).await;
    quiet(&client, "ORDERS__PAYMENTS__QUEUE", "payments__later").await;
    assert_eq!(trouble(&letters[0]).0, "incompatible");
    assert_eq!(seen.sorted(), ["700"]);
}
