//! Stopping.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tidewire::{StopError, prelude::*};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, payments, processed, quiet, server,
};

/// How soon a service has stopped whose handlers are quick: before its grace period of 25 seconds is over.
const STOPPED: Duration = Duration::from_secs(20);

async fn note_in_a_while(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    seen.note(paid.payment_id);
}

fn shipping(seen: &Seen) -> Service<Seen> {
    Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note_in_a_while).concurrency(4))
}

/// What has begun is finished and acked, what has not is given back at once and handled by the next instance.
#[tokio::test]
async fn a_service_stopped_under_load_leaves_nothing_behind() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..300 {
        payments
            .bus()
            .publish(&processed(format!("{key:03}")))
            .await
            .unwrap();
    }
    let (mut rounds, mut given_back, all) = (0, 0, Instant::now());
    while seen.len() < 300 {
        rounds += 1;
        let running = shipping(&seen).start(connect(&server).await).await.unwrap();
        seen.reaches((rounds * 60).min(300)).await;
        let began = Instant::now();
        running.stop().await.unwrap();
        assert!(began.elapsed() < STOPPED, "{:?}", began.elapsed());
        given_back += consumer(&client, PAYMENTS, "shipping__note")
            .await
            .num_ack_pending as u64;
    }
    // What was on its way when a service stopped was given back too: nothing waited for the ack wait of 30 s.
    assert!(
        all.elapsed() < Duration::from_secs(25),
        "{:?} in {rounds} rounds",
        all.elapsed()
    );
    let mut unique = seen.sorted();
    unique.dedup();
    assert_eq!(
        (seen.len(), unique.len()),
        (300, 300),
        "each was handled once in {rounds} rounds"
    );
    quiet(&client, PAYMENTS, "shipping__note").await;
    let info = consumer(&client, PAYMENTS, "shipping__note").await;
    assert_eq!(info.ack_floor.stream_sequence, 300);
    let redelivered = info.delivered.consumer_sequence - 300;
    assert!(
        redelivered <= given_back,
        "{redelivered} came again, {given_back} were given back"
    );
}

#[tokio::test]
async fn a_handler_that_outlasts_the_grace_period_is_said() {
    async fn never(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
        seen.note(paid.payment_id);
        std::future::pending::<()>().await;
    }
    let (server, seen) = (server(), Seen::default());
    let payments = payments().start(connect(&server).await).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let service = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", never));
    let running = service
        .grace(Duration::from_millis(100))
        .start(connect(&server).await)
        .await
        .unwrap();
    seen.reaches(1).await;
    let error = running.stop().await.unwrap_err();
    assert!(matches!(error, StopError::Unfinished { .. }), "{error}");
}

/// What the test sees of a handler.
#[derive(Clone, Default)]
struct Life {
    begun: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

/// Lives as long as the handler that holds it.
struct Held(Life);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_outlasts_the_grace_period_is_dropped_and_holds_nothing_for_ever() {
    async fn hold(State(life): State<Life>, Event(_): Event<PaymentProcessed>) {
        let held = Held(life);
        held.0.begun.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let (server, life) = (server(), Life::default());
    let payments = payments().start(connect(&server).await).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let service = Service::new("shipping", "1.0.0")
        .state(life.clone())
        .on(durable("hold", hold));
    let service = service.grace(Duration::from_millis(50));
    let running = service.start(connect(&server).await).await.unwrap();
    eventually("it has begun", async || life.begun.load(Ordering::SeqCst)).await;
    running.stop().await.unwrap_err();
    eventually("it is dropped", async || life.ended.load(Ordering::SeqCst)).await;
}
