//! When a message that fails comes again, and when no more: by a rule or by a policy's time, as the server does it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tidewire::{dead_letter::Trouble, prelude::*};

use crate::support::{
    Charge, Gateway, PAYMENTS, PaymentProcessed, connect, kept_reach, payments, processed, quiet, server,
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
    let (server, runs) = (server(), Runs::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let till = declare(Service::new("till", "1.0.0").state(runs.clone()));
    let _till = till.start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);
    quiet(&client, PAYMENTS, "till__charge").await;
    (runs.waits(), letter.record.trouble.unwrap())
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
