//! Limits beside concurrency.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tidewire::{Bulkhead, prelude::*};

use crate::support::{PaymentProcessed, Seen, connect, eventually, payments, processed, server};

#[derive(Clone, Default)]
struct Times(Arc<Mutex<Vec<Instant>>>);

async fn clock(State(times): State<Times>, _: Event<PaymentProcessed>) {
    times.0.lock().unwrap().push(Instant::now());
}

#[tokio::test]
async fn a_rate_is_not_exceeded() {
    let (server, times) = (server(), Times::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..21 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    let durable = durable("note", clock).rate_limit(20, Duration::from_secs(1));
    let began = Instant::now();
    let _running = Service::new("slow", "1.0.0")
        .state(times.clone())
        .on(durable)
        .start(client)
        .await
        .unwrap();
    eventually("all are handled", async || times.0.lock().unwrap().len() == 21).await;
    let times = times.0.lock().unwrap().clone();
    // Evenly: none sooner than those before it take, also where the twenty of a second have not come yet.
    for (before, time) in (0..).zip(times) {
        let took = time - began;
        assert!(took >= Duration::from_millis(50) * before, "{before} in {took:?}");
    }
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
