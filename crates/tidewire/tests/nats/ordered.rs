//! Events of one key one after the other, over all instances.

mod backlog;
mod parked;
mod world;

use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tidewire::{Connect, Running, StartError, async_nats::Client, dead_letter::Act, prelude::*, wire};
use tidewire_server::Server;
use tokio::sync::watch;

use self::world::{Fails, World, book};
use crate::{
    replays::replay_to,
    support::{
        PAYMENTS, PaymentProcessed, connect, connected, consumer, eventually, jetstream, kept, kept_reach,
        mortal::Mortal, payments, processed, quiet, server,
    },
};

const CONSUMER: &str = "ledger__book";
/// How long what a lasting durable has in hand is left to an instance that gives no sign of life.
const ACK_WAIT: Duration = Duration::from_secs(120);

fn ledger(world: &World) -> Service<World> {
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .retry(Retry::fixed(Duration::from_millis(400)).max_attempts(4));
    Service::new("ledger", "1.0.0").state(world.clone()).on(durable)
}

/// A durable whose failures wait for longer than is held in hand, and which tries as often as it takes.
fn patient(world: &World) -> Service<World> {
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .retry(Retry::fixed(Duration::from_secs(11)).max_attempts(100_000));
    Service::new("ledger", "1.0.0").state(world.clone()).on(durable)
}

/// A durable whose lease lasts for five seconds, and for which the server waits far longer.
fn lasting(world: &World) -> Service<World> {
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .ack_wait(ACK_WAIT);
    Service::new("ledger", "1.0.0").state(world.clone()).on(durable)
}

/// Publishes `events` of each of `keys`, those of one key in their order and few keys at a time: two events of a key are
/// so close to each other that they would run at once if nothing kept them apart.
async fn publish(client: &Client, keys: usize, events: usize) {
    publish_from(client, keys, 0, events).await;
}

async fn publish_from(client: &Client, keys: usize, from: usize, to: usize) {
    let payments = payments().start(client.clone()).await.unwrap();
    let bus = payments.bus();
    let keys: Vec<_> = (0..keys).collect();
    for few in keys.chunks(8) {
        for number in from..to {
            let all = few.iter().map(|key| {
                let mut paid = processed(format!("k{key}"));
                paid.note = number.to_string();
                let bus = bus.clone();
                async move { bus.publish(&paid).await.unwrap() }
            });
            join_all(all).await;
        }
    }
    payments.stop().await.unwrap();
}

async fn all_quiet(client: &Client) {
    quiet(client, PAYMENTS, CONSUMER).await;
}

/// Where it stands that the last term began: the number of the terms, where nothing is parked between them.
async fn last_term(client: &Client) -> u64 {
    let stream = jetstream(client).get_stream("TW_LEDGER").await.unwrap();
    let subject = wire::term_subject("ledger", "book");
    stream
        .get_last_raw_message_by_subject(&subject)
        .await
        .unwrap()
        .sequence
}

/// So few were handled again, or the machine stood still for so long that a lease was lost: then another term is the last.
async fn few_again(client: &Client, world: &World, most: usize, term: u64) {
    let (_, again) = world.handled();
    assert!(
        again <= most || last_term(client).await > term,
        "{again} were handled again"
    );
}

/// Waits until all that is done by now is told to the next active instance: of two records of the lease the second is
/// made after the first.
async fn is_told(client: &Client) {
    let records = async || {
        let leases = jetstream(client).get_stream("KV_TW_LEDGER_LEASES").await;
        leases.unwrap().cached_info().state.last_sequence
    };
    let before = records().await;
    eventually("the lease is renewed twice", async || {
        records().await > before + 1
    })
    .await;
}

#[tokio::test]
async fn events_of_one_key_are_handled_in_order_and_keys_at_once() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(10)).held(0));
    let client = connect(&server).await;
    publish(&client, 200, 20).await;
    let running = lasting(&world).start(connect(&server).await).await.unwrap();
    let together = || world.0.together.load(Ordering::Relaxed);
    eventually("as many run at once as may", async || together() >= 16).await;
    world.2.opens();
    eventually("all are handled", async || world.count() == 4000).await;
    all_quiet(&client).await;
    world.is_in_order(200, 20);
    few_again(&client, &world, 0, 1).await;
    assert_eq!(together(), 16);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn one_instance_is_active_and_another_takes_over_at_once_when_it_stops() {
    let (server, world) = (
        server(),
        World::default().slow(Duration::from_millis(20)).held(100),
    );
    let client = connect(&server).await;
    publish(&client, 40, 20).await;
    let mut active = lasting(&world).start(connect(&server).await).await.unwrap();
    let mut shortest = Duration::MAX;
    for _ in 0..2 {
        eventually("some are handled", async || !active.tally().is_empty()).await;
        let next = lasting(&world).start(connect(&server).await).await.unwrap();
        let before = world.count();
        world.2.lets(150);
        eventually("more are handled", async || world.count() >= before + 100).await;
        assert!(next.tally().is_empty(), "only one is active");
        // What runs comes to its end meanwhile, and much is left.
        let (stopped, ()) = tokio::join!(active.stop(), async { world.2.lets(50) });
        stopped.unwrap();
        let began = Instant::now();
        world.2.lets(50);
        eventually("the next one goes on", async || !next.tally().is_empty()).await;
        shortest = shortest.min(began.elapsed());
        active = next;
    }
    // Nobody waits for the end of a lease, of which more than three and a half seconds are left: one of the two may be late
    // on a busy machine.
    assert!(shortest < Duration::from_secs(3), "{shortest:?}");
    world.2.opens();
    eventually("all are handled", async || world.count() == 800).await;
    all_quiet(&client).await;
    world.is_in_order(40, 20);
    few_again(&client, &world, 0, 3).await;
}

/// An instance on a runtime of its own thread, which stands still while it is told to.
fn on_its_own(server: &Server, world: &World, still: watch::Receiver<bool>) -> thread::JoinHandle<()> {
    let (url, world) = (server.url(), world.clone());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let nats = connected(Connect::to(url)).await;
            let _running = lasting(&world).start(nats).await.unwrap();
            let mut told = still.clone();
            told.changed().await.unwrap();
            while *still.borrow() {
                thread::sleep(Duration::from_millis(10));
            }
            // It wakes up and goes on, until nobody wants it any more.
            while told.changed().await.is_ok() {}
        });
    })
}

#[tokio::test]
async fn another_instance_takes_over_from_one_that_stands_still_and_order_is_kept() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    publish(&client, 40, 20).await;
    let (hold, still) = watch::channel(false);
    // What it has in hand then waits, and does not end before it wakes.
    let early = world.of_another(100);
    let first = on_its_own(&server, &early, still);
    eventually("some are handled", async || world.runs() >= 100).await;
    let second = lasting(&world).start(connect(&server).await).await.unwrap();
    assert!(second.tally().is_empty(), "only one is active");
    let stood = Instant::now();
    hold.send_replace(true);
    goes_on(&second, stood).await;
    hold.send_replace(false);
    early.2.opens();
    eventually("all are handled", async || world.count() == 800).await;
    all_quiet(&client).await;
    world.is_in_order(40, 20);
    // No more than the first one has run.
    few_again(&client, &world, 100 + 16, 2).await;
    drop(hold);
    first.join().unwrap();
}

/// It takes over, long before the server would give it what another one had in hand since then.
async fn goes_on(running: &Running, since: Instant) {
    eventually("the other one goes on", async || !running.tally().is_empty()).await;
    assert!(since.elapsed() < ACK_WAIT / 2, "{:?}", since.elapsed());
}

#[tokio::test]
async fn another_instance_takes_over_from_one_that_is_dead() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    publish(&client, 40, 20).await;
    // It dies with as many in hand as may run.
    let first = Mortal::start(&server, lasting(&world.of_another(100))).await;
    eventually("some are settled", async || {
        let info = consumer(&client, PAYMENTS, CONSUMER).await;
        info.delivered.consumer_sequence >= 100 + info.num_ack_pending as u64
    })
    .await;
    is_told(&client).await;
    let second = lasting(&world).start(connect(&server).await).await.unwrap();
    assert!(second.tally().is_empty(), "only one is active");
    let died = Instant::now();
    first.dies();
    goes_on(&second, died).await;
    eventually("all are handled", async || world.count() == 800).await;
    all_quiet(&client).await;
    world.is_in_order(40, 20);
    // What was done was told.
    few_again(&client, &world, 0, 2).await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_whose_first_fails_waits_and_other_keys_do_not() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(2)));
    let client = connect(&server).await;
    world.fails("k3", 5, Fails::Retry(usize::MAX));
    publish(&client, 50, 20).await;
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .retry(Retry::fixed(Duration::from_millis(400)).max_attempts(100_000));
    let service = Service::new("ledger", "1.0.0").state(world.clone()).on(durable);
    let _running = service.start(connect(&server).await).await.unwrap();
    eventually("the others are handled", async || world.count() == 49 * 20 + 5).await;
    eventually("it is tried again", async || world.runs_of("k3", 5) > 1).await;
    assert_eq!(world.of("k3"), [0, 1, 2, 3, 4], "the rest of the key waits");
    world.mends("k3", 5);
    eventually("all are handled", async || world.count() == 1000).await;
    world.is_in_order(50, 20);
    few_again(&client, &world, 0, 1).await;
}

#[tokio::test]
async fn when_the_first_is_a_dead_letter_its_key_goes_on() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    world.fails("k1", 2, Fails::Reject);
    world.fails("k2", 3, Fails::Retry(99));
    publish(&client, 4, 10).await;
    let _running = ledger(&world).start(connect(&server).await).await.unwrap();
    eventually("all others are handled", async || world.count() == 38).await;
    all_quiet(&client).await;
    assert_eq!(world.of("k1"), [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(world.of("k2"), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    let letters = kept(&client).await;
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.record.act == Act::Failed));
    let troubles = letters.iter().map(|letter| letter.record.trouble.as_ref());
    let mut attempts: Vec<_> = troubles.map(|trouble| trouble.unwrap().attempts).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 4]);
    assert!(world.runs_of("k2", 3) >= 4);
}

#[tokio::test]
async fn a_replayed_letter_takes_its_turn_in_the_lane_of_its_key() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(20)));
    let client = connect(&server).await;
    world.fails("k0", 0, Fails::Reject);
    publish(&client, 1, 1).await;
    let running = ledger(&world).start(connect(&server).await).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);
    world.mends("k0", 0);
    // While events of its key run, one after the other; two at once would panic.
    world.2.lets(5);
    publish_from(&client, 1, 1, 30).await;
    replay_to(&client, &letter, "ledger", "book").await;
    world.2.opens();
    eventually("all are handled", async || world.count() == 30).await;
    all_quiet(&client).await;
    let records = kept_reach(&client, 3).await;
    assert_eq!(records[2].record.act, Act::Handled);
    let others: Vec<_> = world.of("k0").into_iter().filter(|number| *number > 0).collect();
    assert_eq!(others, (1..30).collect::<Vec<_>>());
    assert!(
        !world
            .0
            .ran
            .lock()
            .unwrap()
            .iter()
            .any(|(_, number, well)| *number > 0 && !well)
    );
    running.stop().await.unwrap();
}
