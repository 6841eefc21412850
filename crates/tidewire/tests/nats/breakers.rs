//! While what a handler needs is down nothing is tried, and nothing is spent.

mod held;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tidewire::{CircuitState, prelude::*};
use tokio::time::{Instant, sleep_until};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, kept, payments, processed, quiet, server,
};

#[derive(Clone, Default)]
struct Gateway {
    down: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
    seen: Seen,
}

impl Gateway {
    fn charge(&self, key: &str, attempt: u32) -> Result<(), Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err("connection refused").or_unavailable();
        }
        self.seen.note(format!("{key} {attempt}"));
        Ok(())
    }
}

async fn charge(
    State(gateway): State<Gateway>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    gateway.charge(&paid.payment_id, attempt)
}

fn quick(name: &str) -> Breaker {
    Breaker::new(name)
        .first_wait(Duration::from_millis(20))
        .longest_wait(Duration::from_millis(40))
}

fn till(gateway: &Gateway, breaker: &Breaker) -> Service<Gateway> {
    // One attempt: whatever is spent on the outage is a dead letter.
    let durable = durable("charge", charge)
        .retry(Retry::never())
        .circuit_breaker(breaker)
        .concurrency(8);
    Service::new("till", "1.0.0").state(gateway.clone()).on(durable)
}

#[tokio::test]
async fn an_outage_spends_no_attempt() {
    let (server, gateway, breaker) = (server(), Gateway::default(), quick("gateway"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    gateway.down.store(true, Ordering::SeqCst);
    let _till = till(&gateway, &breaker).start(client.clone()).await.unwrap();
    let began = Instant::now();
    for key in 0..200 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    eventually("it is open", async || breaker.state() != CircuitState::Closed).await;
    let until = Instant::now() + Duration::from_secs(2);
    sleep_until(until).await; // the outage itself, under a full stream
    let (calls, info) = (
        gateway.calls.load(Ordering::SeqCst),
        consumer(&client, PAYMENTS, "till__charge").await,
    );
    // It is tried every 40 ms; what was on its way when it opened may call beside.
    let most = 8 + began.elapsed().as_millis() / 40 + 20;
    assert!(
        u128::from(calls) < most,
        "{calls} calls in an outage of two seconds"
    );
    assert!(gateway.seen.sorted().is_empty() && info.ack_floor.stream_sequence == 0);
    gateway.down.store(false, Ordering::SeqCst);
    gateway.seen.reaches(200).await;
    quiet(&client, PAYMENTS, "till__charge").await;
    let firsts = gateway
        .seen
        .sorted()
        .iter()
        .filter(|run| run.ends_with(" 1"))
        .count();
    assert_eq!(
        (firsts, gateway.seen.len()),
        (200, 200),
        "each was its first attempt"
    );
    assert!(kept(&client).await.is_empty());
}

#[tokio::test]
async fn a_breaker_that_opens_and_closes_fifty_times_loses_no_healthy_message() {
    let (server, gateway, breaker) = (server(), Gateway::default(), quick("gateway"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _till = till(&gateway, &breaker).start(client.clone()).await.unwrap();
    for round in 0..50 {
        gateway.down.store(true, Ordering::SeqCst);
        for index in 0..4 {
            payments
                .bus()
                .publish(&processed(format!("{round}-{index}")))
                .await
                .unwrap();
        }
        eventually("it opens", async || breaker.state() == CircuitState::Open).await;
        gateway.down.store(false, Ordering::SeqCst);
        eventually("it closes", async || breaker.state() == CircuitState::Closed).await;
    }
    quiet(&client, PAYMENTS, "till__charge").await;
    assert_eq!(gateway.seen.len(), 200);
    assert!(kept(&client).await.is_empty());
}

/// Only a message finds out whether the gateway is back: a breaker that holds none asks for one.
#[tokio::test]
async fn a_breaker_that_holds_nothing_closes_again() {
    let (server, gateway, breaker) = (server(), Gateway::default(), quick("gateway"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let till = till(&gateway, &breaker).start(client.clone()).await.unwrap();
    gateway.down.store(true, Ordering::SeqCst);
    payments.bus().publish(&processed("held")).await.unwrap();
    eventually("it opens", async || breaker.state() != CircuitState::Closed).await;
    // Whoever held a message is gone, and with it the one that would have probed.
    till.stop().await.unwrap();
    gateway.down.store(false, Ordering::SeqCst);
    let refund = durable("refund", charge)
        .circuit_breaker(&breaker)
        .start(Start::Now);
    let desk = Service::new("desk", "1.0.0").state(gateway.clone()).on(refund);
    let _desk = desk.start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("next")).await.unwrap();
    gateway.seen.reaches(1).await;
    assert_eq!(gateway.seen.sorted(), ["next 1"]);
}

/// Closed by hand it lets all through, and what is unavailable is not tried in a hot loop.
#[tokio::test]
async fn what_is_unavailable_behind_a_closed_breaker_is_tried_at_leisure() {
    let (server, gateway, breaker) = (server(), Gateway::default(), quick("gateway"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    breaker.close();
    gateway.down.store(true, Ordering::SeqCst);
    let till = till(&gateway, &breaker).start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    eventually("it is tried twice", async || {
        gateway.calls.load(Ordering::SeqCst) >= 2
    })
    .await;
    assert!(gateway.calls.load(Ordering::SeqCst) < 5);
    let began = Instant::now();
    till.stop().await.unwrap();
    // Before the grace period of 25 seconds is over.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "what waits does not keep a service from stopping"
    );
}

#[derive(Debug, thiserror::Error)]
#[error("too many requests")]
struct TooMany;

/// A rule pauses the consumer, and the message that met the error begins again.
#[tokio::test]
async fn a_rule_pauses_and_spends_nothing() {
    async fn once(
        State(gateway): State<Gateway>,
        Attempt(n): Attempt,
        Event(paid): Event<PaymentProcessed>,
    ) -> Result<(), Failure> {
        if gateway.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(TooMany.into());
        }
        gateway.seen.note(format!("{} {n}", paid.payment_id));
        Ok(())
    }
    let (server, gateway) = (server(), Gateway::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let durable = durable("once", once)
        .retry(Retry::never())
        .on_error::<TooMany>(Then::Pause(Duration::from_millis(600)));
    let _till = Service::new("till", "1.0.0")
        .state(gateway.clone())
        .on(durable)
        .start(client.clone())
        .await
        .unwrap();
    let began = Instant::now();
    payments.bus().publish(&processed("p")).await.unwrap();
    gateway.seen.reaches(1).await;
    assert!(
        began.elapsed() >= Duration::from_millis(600),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(gateway.seen.sorted(), ["p 1"]);
}
