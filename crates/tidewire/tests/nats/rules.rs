//! When a message that fails comes again, and when no more: by a rule or by a policy's time, as the server does it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tidewire::{
    async_nats::Client,
    dead_letter::{Act, Trouble},
    prelude::*,
    wire,
};

use crate::support::{
    Charge, Gateway, Kept, PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, kept,
    kept_reach, payments, processed, quiet, server,
};

/// When each run began.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<Instant>>>);

impl Runs {
    /// The times from one run to the next.
    fn waits(&self) -> Vec<Duration> {
        let began = self.0.lock().unwrap();
        began
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]))
            .collect()
    }
}

async fn charge(State(runs): State<Runs>, Event(_): Event<PaymentProcessed>) -> Result<(), Failure> {
    runs.0.lock().unwrap().push(Instant::now());
    Err(Charge(Gateway(503)).into())
}

/// Has one payment fail until it is a letter: the times between its runs, and what the letter says.
async fn tried(declare: impl FnOnce(Service<Runs>) -> Service<Runs>) -> (Vec<Duration>, Trouble) {
    let (waits, letter) = given_up(declare).await;
    assert_eq!(letter.record.act, Act::Failed);
    (waits, letter.record.trouble.unwrap())
}

/// The same, and the record itself: the one that is kept.
async fn given_up(declare: impl FnOnce(Service<Runs>) -> Service<Runs>) -> (Vec<Duration>, Kept) {
    let (server, runs) = (server(), Runs::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let till = declare(Service::new("till", "1.0.0").state(runs.clone()));
    let _till = till.start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    kept_reach(&client, 1).await;
    quiet(&client, PAYMENTS, "till__charge").await;
    let mut records = kept(&client).await;
    let letter = records.remove(0);
    assert!(records.is_empty(), "one record: {records:?}");
    let original = letter.record.original.as_ref().unwrap();
    assert_eq!(original.subject, "orders.payments.payment.processed.p");
    assert_eq!((original.stream.as_str(), original.sequence), (PAYMENTS, 1));
    let stored = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let stored = stored.get_raw_message(1).await.unwrap();
    assert_eq!(original.payload, stored.payload, "whole");
    (runs.waits(), letter)
}

const DELAY: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_rules_policy_says_when_it_comes_again_and_how_often() {
    let own = Retry::exponential(DELAY, DELAY * 2).max_attempts(3);
    // Without the rule there would be one run.
    let durable = durable("charge", charge)
        .retry(Retry::never())
        .on_error::<Gateway>(Then::Retry(own));
    let (waits, trouble) = tried(|till| till.on(durable)).await;
    assert_eq!((trouble.class.as_str(), trouble.attempts), ("exhausted", 3));
    assert_eq!(waits.len(), 2, "three runs");
    assert!(waits[0] >= DELAY && waits[1] >= DELAY * 2, "{waits:?}");
}

/// Whether it is said before its durables are, or after.
#[tokio::test]
async fn the_services_policy_is_that_of_a_durable_without_one_of_its_own() {
    let twice = Retry::fixed(DELAY).max_attempts(2);
    let charge = || durable("charge", charge);
    let before = tried(|till| till.retry(twice).on(charge()));
    let after = tried(|till| till.on(charge()).retry(twice));
    for (waits, trouble) in [before.await, after.await] {
        assert_eq!((trouble.class.as_str(), trouble.attempts), ("exhausted", 2));
        assert!(waits.len() == 1 && waits[0] >= DELAY, "{waits:?}");
    }
    let own = tried(|till| till.retry(Retry::never()).on(charge().retry(Retry::immediate())));
    let (waits, trouble) = own.await;
    assert_eq!((waits.len(), trouble.attempts), (2, 3));
}

#[tokio::test]
async fn a_rules_delay_is_a_floor_and_the_durables_policy_says_how_often() {
    // Without the rule all would be over at once.
    let durable = durable("charge", charge)
        .retry(Retry::immediate().max_attempts(3))
        .on_error::<Gateway>(Then::RetryAfter(DELAY));
    let (waits, trouble) = tried(|till| till.on(durable)).await;
    assert_eq!((trouble.class.as_str(), trouble.attempts), ("exhausted", 3));
    assert_eq!(waits.len(), 2, "three runs");
    assert!(waits.iter().all(|wait| *wait >= DELAY), "{waits:?}");
}

#[tokio::test]
async fn the_time_of_a_policy_ends_the_attempts_that_it_has_left() {
    // Twelve attempts; a third would begin after two delays at the earliest, when the time is over.
    let own = Retry::fixed(DELAY).max_time(DELAY * 3 / 2);
    let durable = durable("charge", charge).on_error::<Gateway>(Then::Retry(own));
    let (waits, trouble) = tried(|till| till.on(durable)).await;
    assert_eq!(trouble.class, "exhausted");
    // On a slow machine the time may be over before the second.
    assert!(trouble.attempts <= 2, "{trouble:?}");
    assert_eq!(u32::try_from(waits.len()).unwrap() + 1, trouble.attempts);
    assert!(waits.iter().all(|wait| *wait >= DELAY), "{waits:?}");
}

#[tokio::test]
async fn a_rule_puts_a_message_into_the_dead_letters_at_once() {
    // Without the rule there would be twelve runs.
    let durable = durable("charge", charge).on_error::<Gateway>(Then::DeadLetter);
    let (waits, trouble) = tried(|till| till.on(durable)).await;
    assert_eq!((trouble.class.as_str(), trouble.attempts), ("rejected", 1));
    assert_eq!(trouble.error, "cannot charge");
    assert_eq!(trouble.chain, ["the gateway says 503"]);
    assert!(waits.is_empty(), "one run");
}

#[tokio::test]
async fn a_rule_discards_a_message_and_a_record_says_so() {
    let durable = durable("charge", charge).on_error::<Gateway>(Then::Discard);
    let (waits, letter) = given_up(|till| till.on(durable)).await;
    assert_eq!(letter.record.act, Act::Discarded);
    assert_eq!(
        letter.record.reason.as_deref(),
        Some("a rule of the handler discards it")
    );
    assert!(
        letter.subject.starts_with("dlq.till.charge."),
        "{}",
        letter.subject
    );
    let trouble = letter.record.trouble.unwrap();
    assert_eq!((trouble.error.as_str(), trouble.attempts), ("cannot charge", 1));
    assert!(waits.is_empty(), "one run");
}

#[tokio::test]
async fn the_time_of_the_durables_policy_ends_the_attempts_that_it_has_left() {
    let durable = durable("charge", charge).retry(Retry::fixed(DELAY).max_time(DELAY * 3 / 2));
    let (waits, trouble) = tried(|till| till.on(durable)).await;
    assert_eq!(trouble.class, "exhausted");
    assert!(trouble.attempts <= 2, "{trouble:?}");
    assert_eq!(u32::try_from(waits.len()).unwrap() + 1, trouble.attempts);
}

#[derive(Clone, Default)]
struct Paused {
    /// The runs of the first message, which fails three times at least, and until the test has seen the pause.
    first: Runs,
    shown: Arc<AtomicBool>,
    /// Keys and attempts of what went well.
    seen: Seen,
}

async fn charge_at_last(
    State(paused): State<Paused>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    if paid.payment_id == "first" {
        paused.first.0.lock().unwrap().push(Instant::now());
        if paused.first.waits().len() < 3 || !paused.shown.load(Ordering::SeqCst) {
            return Err(Charge(Gateway(503)).into());
        }
    }
    paused.seen.note(format!("{} {attempt}", paid.payment_id));
    Ok(())
}

/// What follows from each failed attempt, by the error events.
async fn follows(client: &Client) -> Vec<String> {
    let stream = jetstream(client).get_stream(wire::ERRORS_STREAM).await.unwrap();
    let mut follows = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["data"]["details"]["attempt"], 1);
        follows.push(event["data"]["details"]["then"].as_str().unwrap().to_owned());
    }
    follows
}

/// Nothing runs meanwhile, and the message that met the error begins again, each time as its first attempt.
#[tokio::test]
async fn a_rule_pauses_the_consumer_and_each_pause_is_told() {
    let (server, paused) = (server(), Paused::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    // One attempt: without the rule it would be a letter.
    let durable = durable("charge", charge_at_last)
        .retry(Retry::never())
        .concurrency(1)
        .on_error::<Gateway>(Then::Pause(DELAY));
    let till = Service::new("till", "1.0.0").state(paused.clone()).on(durable);
    let running = till.start(client.clone()).await.unwrap();
    for key in ["first", "second", "third"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    eventually("it is shown", async || {
        running.degraded().contains_key("breaker-charge")
    })
    .await;
    paused.shown.store(true, Ordering::SeqCst);
    paused.seen.reaches(3).await;
    quiet(&client, PAYMENTS, "till__charge").await;
    let waits = paused.first.waits();
    assert!(waits.iter().all(|wait| *wait >= DELAY), "{waits:?}");
    assert_eq!(paused.seen.sorted(), ["first 1", "second 1", "third 1"]);
    let info = consumer(&client, PAYMENTS, "till__charge").await;
    assert_eq!(info.ack_floor.stream_sequence, 3);
    assert!(kept(&client).await.is_empty());
    // A pause follows from each run but the last.
    eventually("each pause is told", async || {
        follows(&client).await.len() >= waits.len()
    })
    .await;
    assert_eq!(follows(&client).await, vec!["hold"; waits.len()]);
    eventually("it goes on", async || running.degraded().is_empty()).await;
}
