//! A durable that an operator pauses and resumes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire::{
    Running,
    async_nats::{
        Client,
        jetstream::consumer::{FromConsumer, pull::Config as PullConfig},
    },
    prelude::*,
    wire,
};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, kept, payments, processed,
    quiet, server,
};

const CONSUMER: &str = "shipping__note";

#[derive(Clone, Default)]
struct World {
    /// The runs of the durable that is paused: key and attempt.
    runs: Seen,
    /// The keys that came to the one beside it.
    beside: Seen,
}

async fn note(State(world): State<World>, Attempt(attempt): Attempt, Event(paid): Event<PaymentProcessed>) {
    world.runs.note(format!("{} {attempt}", paid.payment_id));
}

async fn pass(State(world): State<World>, Event(paid): Event<PaymentProcessed>) {
    world.beside.note(paid.payment_id);
}

async fn shipping(world: &World, client: Client, ack_wait: Duration) -> Running {
    Service::new("shipping", "1.0.0")
        .state(world.clone())
        // One attempt: whatever a pause spends is a dead letter.
        .on(durable("note", note).retry(Retry::never()).ack_wait(ack_wait))
        .on(durable("pass", pass))
        .start(client)
        .await
        .unwrap()
}

const ACK_WAIT: Duration = Duration::from_secs(30);

/// Asks as `tidewire pause` and `tidewire resume` do; what was paused or resumed.
async fn ask(client: &Client, verb: &str, body: Value) -> Value {
    let subject = wire::operation_subject("shipping", verb);
    let answer = client.request(subject, body.to_string().into()).await.unwrap();
    let mut said: Value = serde_json::from_slice(&answer.payload).unwrap();
    said[format!("{verb}d")].take()
}

async fn pause(client: &Client, seconds: f64) {
    let body = json!({"durable": "note", "seconds": seconds});
    let consumers = [
        format!("{PAYMENTS} {CONSUMER}"),
        format!("TW_SHIPPING {CONSUMER}"),
    ];
    assert_eq!(ask(client, "pause", body).await, json!(consumers));
}

async fn resume(client: &Client) {
    let said = ask(client, "resume", json!({"durable": "note"})).await;
    assert_eq!(said.as_array().map(Vec::len), Some(2), "{said}");
}

/// Waits until the server has counted so many messages for the durable that is paused.
async fn waiting(client: &Client, count: u64) {
    eventually(&format!("{count} wait"), async || {
        let info = consumer(client, PAYMENTS, CONSUMER).await;
        assert!(info.paused && info.num_pending <= count, "{info:?}");
        info.num_pending == count
    })
    .await;
}

/// Publishes the keys, and waits until each of them has come to the durable beside the paused one.
async fn flow(payments: &Running, world: &World, keys: std::ops::Range<usize>) {
    let all = keys.end;
    for key in keys {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    world.beside.reaches(all).await;
}

/// Each was its first attempt, and no failure is told of it.
async fn handled_once_each(client: &Client, world: &World, count: usize) {
    world.runs.reaches(count).await;
    quiet(client, PAYMENTS, CONSUMER).await;
    let mut expected: Vec<_> = (0..count).map(|key| format!("{key} 1")).collect();
    expected.sort();
    assert_eq!(world.runs.sorted(), expected);
    assert!(kept(client).await.is_empty());
    let info = consumer(client, PAYMENTS, CONSUMER).await;
    assert_eq!(info.delivered.consumer_sequence, count as u64, "each came once");
    let errors = jetstream(client).get_stream(wire::ERRORS_STREAM).await;
    let told = errors.map_or(0, |stream| stream.cached_info().state.messages);
    assert_eq!(told, 0, "a pause is no failure");
}

/// Anybody on the network may ask: a time that no clock reaches ended the part that answers, in every instance.
#[tokio::test]
async fn a_pause_that_no_clock_reaches_is_for_ever() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = shipping(&world, client.clone(), ACK_WAIT).await;
    pause(&client, 18_446_744_073_709_549_568.0).await;
    assert!(shipping.not_ready().is_empty());
    let until = consumer(&client, PAYMENTS, CONSUMER).await.config.pause_until;
    assert!(until.unwrap().year() > 2100, "{until:?}");
    resume(&client).await;
    flow(&payments, &world, 0..1).await;
    handled_once_each(&client, &world, 1).await;
}

#[tokio::test]
async fn what_is_published_during_a_pause_waits_and_is_handled_after_it() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let running = shipping(&world, connect(&server).await, ACK_WAIT).await;
    flow(&payments, &world, 0..10).await;
    world.runs.reaches(10).await;

    pause(&client, 3600.0).await;
    flow(&payments, &world, 10..300).await;
    waiting(&client, 290).await;
    assert_eq!(world.runs.len(), 10, "nothing is handled");
    assert!(running.degraded().contains_key("paused-note"));
    assert!(running.not_ready().is_empty());

    resume(&client).await;
    handled_once_each(&client, &world, 300).await;
    assert!(running.degraded().is_empty());
    let counts = &running.tally()[CONSUMER];
    assert_eq!((counts.len(), counts["handled"]), (1, 300), "{counts:?}");
}

/// The server remembers it: an instance that starts later is given nothing either, though it declares something else.
#[tokio::test]
async fn a_pause_outlives_the_instance_that_made_it() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let first = shipping(&world, connect(&server).await, ACK_WAIT).await;
    flow(&payments, &world, 0..10).await;
    world.runs.reaches(10).await;
    pause(&client, 3600.0).await;
    flow(&payments, &world, 10..20).await;
    first.stop().await.unwrap();

    let second = shipping(&world, connect(&server).await, ACK_WAIT * 2).await;
    flow(&payments, &world, 20..100).await;
    waiting(&client, 90).await;
    let info = consumer(&client, PAYMENTS, CONSUMER).await;
    assert_eq!(info.config.ack_wait, ACK_WAIT * 2, "it is the declared one");
    assert_eq!(world.runs.len(), 10, "nothing is handled");

    resume(&client).await;
    handled_once_each(&client, &world, 100).await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_pause_for_a_time_ends_by_itself() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let running = shipping(&world, connect(&server).await, ACK_WAIT).await;
    let began = Instant::now();
    pause(&client, 4.0).await;
    payments.bus().publish(&processed("0")).await.unwrap();
    world.runs.reaches(1).await;
    // The time is written down in milliseconds at the least.
    assert!(
        began.elapsed() > Duration::from_millis(3_990),
        "{:?}",
        began.elapsed()
    );
    handled_once_each(&client, &world, 1).await;
    eventually("it is shown no more", async || running.degraded().is_empty()).await;
}

async fn limit_waiting(client: &Client, most: i64) {
    let config = consumer(client, PAYMENTS, CONSUMER).await.config;
    let config = PullConfig {
        durable_name: config.durable_name.clone(),
        max_ack_pending: most,
        ..PullConfig::try_from_consumer_config(config).unwrap()
    };
    let stream = jetstream(client).get_stream(PAYMENTS).await.unwrap();
    stream.update_consumer(config).await.unwrap();
}

/// The server gives nothing more to a consumer of which so many messages wait for another attempt.
#[tokio::test]
async fn a_durable_of_which_as_many_wait_as_may_is_named() {
    async fn fail(_: Event<PaymentProcessed>) -> Result<(), Failure> {
        Err(std::io::Error::other("not today")).or_retry()
    }
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let hours = Retry::fixed(Duration::from_secs(3600));
    let shipping = Service::new("shipping", "1.0.0").on(durable("note", fail).retry(hours));
    let shipping = shipping.start(connect(&server).await).await.unwrap();
    limit_waiting(&client, 5).await;
    for key in 0..7 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    eventually("five wait", async || {
        let info = consumer(&client, PAYMENTS, CONSUMER).await;
        info.num_ack_pending == 5 && info.num_pending == 2
    })
    .await;
    // A durable that is held back is looked at every five seconds, the others once a minute.
    pause(&client, 3600.0).await;
    eventually("it is named", async || {
        shipping.degraded().contains_key("full-note")
    })
    .await;
    assert!(shipping.not_ready().is_empty());
    resume(&client).await;
    assert!(!shipping.degraded().contains_key("paused-note"));
    limit_waiting(&client, 100).await;
    eventually("it goes on", async || shipping.degraded().is_empty()).await;
}
