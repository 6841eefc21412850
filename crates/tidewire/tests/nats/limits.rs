//! Limits beside concurrency.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tidewire::{Bulkhead, prelude::*};

use crate::support::{PaymentProcessed, Seen, connect, note, payments, processed, server};

#[tokio::test]
async fn a_rate_is_not_exceeded() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..21 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    let durable = durable("note", note).rate_limit(20, Duration::from_secs(1));
    let began = Instant::now();
    let _running = Service::new("slow", "1.0.0")
        .state(seen.clone())
        .on(durable)
        .start(client)
        .await
        .unwrap();
    seen.reaches(21).await;
    assert!(
        began.elapsed() >= Duration::from_millis(950),
        "{:?}",
        began.elapsed()
    );
}

#[derive(Clone, Default)]
struct Most {
    now: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
    seen: Seen,
}

async fn count(State(world): State<Most>, Event(paid): Event<PaymentProcessed>) {
    let now = world.now.fetch_add(1, Ordering::SeqCst) + 1;
    world.peak.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.now.fetch_sub(1, Ordering::SeqCst);
    world.seen.note(paid.payment_id);
}

async fn count_too(world: State<Most>, paid: Event<PaymentProcessed>) {
    count(world, paid).await;
}

#[tokio::test]
async fn two_durables_share_a_bulkhead() {
    let (server, world, bulkhead) = (server(), Most::default(), Bulkhead::new(3));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..40 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    let service = Service::new("busy", "1.0.0").state(world.clone());
    let service = service
        .on(durable("one", count).bulkhead(&bulkhead))
        .on(durable("two", count_too).bulkhead(&bulkhead));
    let _running = service.start(client).await.unwrap();
    world.seen.reaches(80).await;
    assert_eq!(world.peak.load(Ordering::SeqCst), 3);
}
