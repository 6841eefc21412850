//! What an open breaker leaves with the server, and whom it does not stop.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt, stream};
use tidewire::{CircuitState, Running, async_nats::Client, prelude::*};

use super::{Gateway, quick, till};
use crate::support::{
    PAYMENTS, PaymentProcessed, connect, consumer, eventually, kept, payments, processed, quiet, server,
};

/// Two things that handlers need.
#[derive(Clone, Default)]
struct World {
    gateway: Gateway,
    warehouse: Gateway,
}

async fn charge(
    State(world): State<World>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    world.gateway.charge(&paid.payment_id, attempt)
}

async fn refund(
    State(world): State<World>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    world
        .gateway
        .charge(&format!("refund {}", paid.payment_id), attempt)
}

async fn reserve(
    State(world): State<World>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    world.warehouse.charge(&paid.payment_id, attempt)
}

/// Two durables need the gateway, and one the warehouse. One attempt each: whatever is spent is a dead letter.
async fn shop(world: &World, gateway: &Breaker, warehouse: &Breaker, client: Client) -> Running {
    Service::new("shop", "1.0.0")
        .state(world.clone())
        .on(durable("charge", charge)
            .retry(Retry::never())
            .circuit_breaker(gateway))
        .on(durable("refund", refund)
            .retry(Retry::never())
            .circuit_breaker(gateway))
        .on(durable("reserve", reserve)
            .retry(Retry::never())
            .circuit_breaker(warehouse))
        .start(client)
        .await
        .unwrap()
}

/// Publishes payments with these keys.
async fn publish(payments: &Running, keys: std::ops::Range<usize>) {
    let bus = payments.bus();
    stream::iter(keys)
        .for_each_concurrent(64, |key| {
            let bus = bus.clone();
            async move { drop(bus.publish(&processed(key.to_string())).await.unwrap()) }
        })
        .await;
}

/// So many runs, each of them a first attempt.
fn firsts(gateway: &Gateway) -> usize {
    let seen = gateway.seen.sorted();
    assert!(seen.iter().all(|run| run.ends_with(" 1")), "{seen:?}");
    seen.len()
}

#[tokio::test]
async fn while_one_dependency_is_down_the_handlers_of_another_go_on() {
    let (server, world) = (server(), World::default());
    let (gateway, warehouse) = (quick("gateway"), quick("warehouse"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shop = shop(&world, &gateway, &warehouse, connect(&server).await).await;
    world.gateway.down.store(true, Ordering::SeqCst);
    publish(&payments, 0..1).await;
    eventually("it is open", async || gateway.state() != CircuitState::Closed).await;
    publish(&payments, 1..200).await;
    world.warehouse.seen.reaches(200).await;
    quiet(&client, PAYMENTS, "shop__reserve").await;
    assert_ne!(gateway.state(), CircuitState::Closed);
    assert_eq!(warehouse.state(), CircuitState::Closed);
    assert_eq!((world.gateway.seen.len(), firsts(&world.warehouse)), (0, 200));
    assert_eq!(world.warehouse.calls.load(Ordering::SeqCst), 200, "once each");
    // The other way round.
    world.warehouse.down.store(true, Ordering::SeqCst);
    publish(&payments, 200..201).await;
    eventually("it is open", async || warehouse.state() != CircuitState::Closed).await;
    world.gateway.down.store(false, Ordering::SeqCst);
    publish(&payments, 201..300).await;
    world.gateway.seen.reaches(600).await;
    quiet(&client, PAYMENTS, "shop__charge").await;
    quiet(&client, PAYMENTS, "shop__refund").await;
    assert_ne!(warehouse.state(), CircuitState::Closed);
    assert_eq!((firsts(&world.gateway), world.warehouse.seen.len()), (600, 200));
    world.warehouse.down.store(false, Ordering::SeqCst);
    world.warehouse.seen.reaches(300).await;
    quiet(&client, PAYMENTS, "shop__reserve").await;
    assert_eq!(firsts(&world.warehouse), 300);
    assert!(kept(&client).await.is_empty());
    shop.stop().await.unwrap();
}

/// A durable that is given none has one of its own.
#[tokio::test]
async fn while_a_durable_without_a_breaker_is_held_the_others_go_on() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shop = Service::new("shop", "1.0.0")
        .state(world.clone())
        .on(durable("charge", charge).retry(Retry::never()))
        .on(durable("reserve", reserve).retry(Retry::never()))
        .start(client.clone())
        .await
        .unwrap();
    world.gateway.down.store(true, Ordering::SeqCst);
    publish(&payments, 0..1).await;
    eventually("it is open", async || {
        shop.degraded().into_keys().eq(["breaker-charge"])
    })
    .await;
    publish(&payments, 1..200).await;
    world.warehouse.seen.reaches(200).await;
    quiet(&client, PAYMENTS, "shop__reserve").await;
    assert!(shop.degraded().into_keys().eq(["breaker-charge"]));
    assert_eq!((world.gateway.seen.len(), firsts(&world.warehouse)), (0, 200));
    world.gateway.down.store(false, Ordering::SeqCst);
    world.gateway.seen.reaches(200).await;
    quiet(&client, PAYMENTS, "shop__charge").await;
    assert_eq!(firsts(&world.gateway), 200);
    assert!(kept(&client).await.is_empty());
    shop.stop().await.unwrap();
}

/// Nothing is tried while it is open, not even once its waits are over, and nothing is lost by it.
#[tokio::test]
async fn a_breaker_that_is_opened_by_hand_stays_open_for_all_who_share_it_until_somebody_closes_it() {
    let (server, world) = (server(), World::default());
    let (gateway, warehouse) = (quick("gateway"), quick("warehouse"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shop = shop(&world, &gateway, &warehouse, connect(&server).await).await;
    gateway.open();
    for round in 1..=4 {
        publish(&payments, (round - 1) * 50..round * 50).await;
        // The messages flow, and many times its longest wait goes by.
        world.warehouse.seen.reaches(round * 50).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(gateway.state(), CircuitState::Open);
        assert_eq!(world.gateway.calls.load(Ordering::SeqCst), 0, "nothing is tried");
        for name in ["shop__charge", "shop__refund"] {
            let count = round as u64 * 50;
            eventually("the server has counted them", async || {
                let info = consumer(&client, PAYMENTS, name).await;
                info.num_pending + info.num_ack_pending as u64 == count && info.ack_floor.stream_sequence == 0
            })
            .await;
        }
    }
    gateway.close();
    world.gateway.seen.reaches(400).await;
    assert_eq!(gateway.state(), CircuitState::Closed);
    for name in ["shop__charge", "shop__refund"] {
        quiet(&client, PAYMENTS, name).await;
    }
    assert_eq!(firsts(&world.gateway), 400);
    // Let go, it decides for itself again.
    gateway.open();
    publish(&payments, 200..201).await;
    world.warehouse.seen.reaches(201).await;
    assert_eq!(world.gateway.calls.load(Ordering::SeqCst), 400);
    gateway.release();
    world.gateway.seen.reaches(402).await;
    quiet(&client, PAYMENTS, "shop__charge").await;
    quiet(&client, PAYMENTS, "shop__refund").await;
    assert_eq!(firsts(&world.gateway), 402);
    assert!(kept(&client).await.is_empty());
}

/// With one message in hand there is room for many: what was asked for before it opened ends after 30 seconds, and nothing is
/// asked for after it.
#[tokio::test]
async fn an_open_breaker_asks_for_nothing() {
    let (server, gateway, breaker) = (server(), Gateway::default(), quick("gateway"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let till = till(&gateway, &breaker);
    let _till = till.start(connect(&server).await).await.unwrap();
    gateway.down.store(true, Ordering::SeqCst);
    publish(&payments, 0..1).await;
    eventually("it is open", async || breaker.state() != CircuitState::Closed).await;
    let look = || consumer(&client, PAYMENTS, "till__charge");
    eventually("nothing is asked for", async || look().await.num_waiting == 0).await;
    publish(&payments, 1..501).await;
    let calls = gateway.calls.load(Ordering::SeqCst);
    eventually("it is tried again and again", async || {
        gateway.calls.load(Ordering::SeqCst) > calls + 20
    })
    .await;
    let mut now = look().await;
    eventually("the server has counted them", async || {
        now = look().await;
        now.num_pending + now.num_ack_pending as u64 == 501
    })
    .await;
    assert_eq!(
        (now.num_pending, now.num_ack_pending, now.num_waiting),
        (500, 1, 0)
    );
    gateway.down.store(false, Ordering::SeqCst);
    gateway.seen.reaches(501).await;
    quiet(&client, PAYMENTS, "till__charge").await;
    assert_eq!(firsts(&gateway), 501, "each was its first attempt");
}

/// The most messages that an instance takes in hand.
const MOST: u64 = 2_048;

#[tokio::test]
async fn an_open_breaker_leaves_a_backlog_with_the_server() {
    let (server, gateway, breaker) = (server(), Gateway::default(), quick("gateway"));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let till = till(&gateway, &breaker);
    let _till = till.start(connect(&server).await).await.unwrap();
    // Handlers that are this quick are given the most that there is.
    publish(&payments, 0..500).await;
    gateway.seen.reaches(500).await;
    gateway.down.store(true, Ordering::SeqCst);
    publish(&payments, 500..501).await;
    eventually("it is open", async || breaker.state() != CircuitState::Closed).await;
    publish(&payments, 501..6_500).await;
    let look = || consumer(&client, PAYMENTS, "till__charge");
    let mut first = look().await;
    // What was asked for before it opened comes, or the request ends; and what is confirmed is counted a moment later.
    eventually("nothing is asked for, and all is counted", async || {
        first = look().await;
        first.num_waiting == 0 && first.num_pending + first.num_ack_pending as u64 == 6_000
    })
    .await;
    assert!(
        first.num_pending >= 6_000 - MOST && first.num_ack_pending as u64 <= MOST,
        "{first:?}"
    );
    let calls = gateway.calls.load(Ordering::SeqCst);
    publish(&payments, 6_500..7_000).await;
    eventually("the server has counted what came", async || {
        look().await.num_pending >= first.num_pending + 500
    })
    .await;
    eventually("it is tried again and again", async || {
        gateway.calls.load(Ordering::SeqCst) > calls + 20
    })
    .await;
    let later = look().await;
    assert_eq!(
        later.num_pending,
        first.num_pending + 500,
        "all of it stays there"
    );
    assert_eq!(
        (later.num_waiting, later.num_ack_pending),
        (0, first.num_ack_pending)
    );
    assert_eq!(
        later.delivered.consumer_sequence, first.delivered.consumer_sequence,
        "nothing comes, and nothing comes again"
    );
    assert_ne!(breaker.state(), CircuitState::Closed);
    assert_eq!(gateway.seen.len(), 500);
    gateway.down.store(false, Ordering::SeqCst);
    gateway.seen.reaches(7_000).await;
    quiet(&client, PAYMENTS, "till__charge").await;
    assert_eq!(firsts(&gateway), 7_000, "each was its first attempt");
    assert!(kept(&client).await.is_empty());
}
