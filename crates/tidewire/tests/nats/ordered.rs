//! Events of one key one after the other, over all instances.

mod backlog;
mod parked;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tidewire::{Running, StartError, async_nats::Client, dead_letter::Act, prelude::*};
use tidewire_server::Server;
use tokio::sync::watch;

use crate::{
    replays::replay_to,
    support::{
        PAYMENTS, PaymentProcessed, connect, eventually, jetstream, kept, kept_reach, payments, processed,
        quiet, server,
    },
};

const CONSUMER: &str = "ledger__book";

/// What the handlers of all instances did, and what they are to do.
#[derive(Clone, Default)]
struct World(Arc<Inner>, Instance);

/// One that stands still keeps what it runs beside what the next active one runs.
type Instance = u8;

#[derive(Default)]
struct Inner {
    /// Key, number, and whether it went well; by the end of the run.
    ran: Mutex<Vec<(String, usize, bool)>>,
    /// Which keys run now, and how many were seen to run at once.
    running: Mutex<BTreeSet<(Instance, String)>>,
    together: AtomicUsize,
    /// Events that fail, and whether they are rejected.
    failing: Mutex<BTreeMap<(String, usize), Fails>>,
    slow: Mutex<Duration>,
}

#[derive(Clone, Copy)]
enum Fails {
    Retry(usize),
    Reject,
}

async fn book(State(world): State<World>, Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
    let (key, number) = (paid.payment_id, paid.note.parse::<usize>().unwrap());
    let turn = Turn::of(&world, &key);
    let slow = *world.0.slow.lock().unwrap();
    tokio::time::sleep(slow.mul_f64(share_of(&key, number))).await;
    drop(turn);
    let fails = {
        let mut failing = world.0.failing.lock().unwrap();
        let event = (key.clone(), number);
        match failing.get(&event).copied() {
            Some(Fails::Retry(0)) | None => None,
            Some(Fails::Retry(left)) => failing.insert(event, Fails::Retry(left - 1)),
            reject => reject,
        }
    };
    world.0.ran.lock().unwrap().push((key, number, fails.is_none()));
    match fails {
        None => Ok(()),
        Some(Fails::Retry(_)) => Err("not yet").or_retry(),
        Some(Fails::Reject) => Err("never").or_reject(),
    }
}

/// While an event of a key runs; also one that dies with its instance ends so.
struct Turn(World, String);

impl Turn {
    fn of(world: &World, key: &str) -> Self {
        let mut running = world.0.running.lock().unwrap();
        let alone = running.insert((world.1, key.to_owned()));
        world.0.together.fetch_max(running.len(), Ordering::Relaxed);
        drop(running);
        assert!(alone, "two events of {key} at once");
        Self(world.clone(), key.to_owned())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let event = (self.0.1, self.1.clone());
        self.0.0.running.lock().unwrap().remove(&event);
    }
}

/// From 0 to 1, another one for each event.
fn share_of(key: &str, number: usize) -> f64 {
    let mixed = key.bytes().fold(number, |mixed, byte| {
        mixed.wrapping_mul(31).wrapping_add(byte.into())
    });
    f64::from(u8::try_from(mixed % 100).unwrap()) / 100.0
}

impl World {
    fn slow(self, slow: Duration) -> Self {
        *self.0.slow.lock().unwrap() = slow;
        self
    }

    fn fails(&self, key: &str, number: usize, fails: Fails) {
        self.0.failing.lock().unwrap().insert((key.into(), number), fails);
    }

    /// The numbers that were handled well, by key, in the order in which they were.
    fn handled(&self) -> BTreeMap<String, Vec<usize>> {
        let mut handled = BTreeMap::<_, Vec<_>>::new();
        for (key, number, well) in self.0.ran.lock().unwrap().iter() {
            if *well {
                handled.entry(key.clone()).or_default().push(*number);
            }
        }
        handled
    }

    fn count(&self) -> usize {
        self.handled().values().map(Vec::len).sum()
    }

    fn of(&self, key: &str) -> Vec<usize> {
        self.handled().remove(key).unwrap_or_default()
    }

    fn runs_of(&self, key: &str, number: usize) -> usize {
        let ran = self.0.ran.lock().unwrap();
        ran.iter().filter(|run| run.0 == key && run.1 == number).count()
    }

    /// Each number was first handled after all those before it; how many were handled more than once.
    fn is_in_order(&self, keys: usize, events: usize) -> usize {
        let handled = self.handled();
        assert_eq!(handled.len(), keys, "every key");
        let mut again = 0;
        for (key, numbers) in handled {
            let mut first = Vec::new();
            for number in &numbers {
                if !first.contains(number) {
                    first.push(*number);
                }
            }
            assert_eq!(first, (0..events).collect::<Vec<_>>(), "{key}: {numbers:?}");
            again += numbers.len() - first.len();
        }
        again
    }
}

fn ledger(world: &World) -> Service<World> {
    // A lease of one second.
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .ack_wait(Duration::from_secs(6))
        .retry(Retry::fixed(Duration::from_millis(400)).max_attempts(4));
    Service::new("ledger", "1.0.0").state(world.clone()).on(durable)
}

/// A durable whose failures wait for longer than is held in hand.
fn patient(world: &World) -> Service<World> {
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .ack_wait(Duration::from_secs(6))
        .retry(Retry::fixed(Duration::from_secs(11)).max_attempts(3));
    Service::new("ledger", "1.0.0").state(world.clone()).on(durable)
}

/// A durable whose lease lasts for twenty seconds: no machine is so busy that it is lost by standing still.
fn lasting(world: &World) -> Service<World> {
    let durable = durable("book", book)
        .ordered_by_key()
        .concurrency(16)
        .ack_wait(Duration::from_secs(120));
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

#[tokio::test]
async fn events_of_one_key_are_handled_in_order_and_keys_at_once() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(10)));
    let client = connect(&server).await;
    publish(&client, 200, 20).await;
    let running = lasting(&world).start(connect(&server).await).await.unwrap();
    eventually("all are handled", async || world.count() >= 4000).await;
    all_quiet(&client).await;
    assert_eq!(world.is_in_order(200, 20), 0);
    assert_eq!(world.0.together.load(Ordering::Relaxed), 16);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn one_instance_is_active_and_another_takes_over_at_once_when_it_stops() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(20)));
    let client = connect(&server).await;
    publish(&client, 40, 20).await;
    let one = lasting(&world).start(connect(&server).await).await.unwrap();
    eventually("some are handled", async || world.count() >= 100).await;
    let other = lasting(&world).start(connect(&server).await).await.unwrap();
    eventually("more are handled", async || world.count() >= 200).await;
    assert!(other.tally().is_empty(), "only one is active");
    one.stop().await.unwrap();
    let (stopped, done) = (Instant::now(), world.count());
    eventually("the other one goes on", async || world.count() > done).await;
    // Nobody waits for the end of a lease.
    assert!(
        stopped.elapsed() < Duration::from_secs(15),
        "{:?}",
        stopped.elapsed()
    );
    // A third one, over what the second gives back.
    eventually("more are handled", async || world.count() >= 400).await;
    other.stop().await.unwrap();
    let _third = lasting(&world).start(connect(&server).await).await.unwrap();
    eventually("all are handled", async || world.count() >= 800).await;
    all_quiet(&client).await;
    assert_eq!(world.is_in_order(40, 20), 0, "none was handled twice");
}

/// An instance on a runtime of its own thread, which stands still while it is told to.
fn on_its_own(server: &Server, world: &World, still: watch::Receiver<bool>) -> thread::JoinHandle<()> {
    let (url, world) = (server.url(), World(world.0.clone(), 1));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let nats = tidewire::connect(url).await.unwrap();
            let _running = ledger(&world).start(nats).await.unwrap();
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
    let (server, world) = (server(), World::default().slow(Duration::from_millis(80)));
    let client = connect(&server).await;
    publish(&client, 40, 20).await;
    let (hold, still) = watch::channel(false);
    let first = on_its_own(&server, &world, still);
    eventually("some are handled", async || world.count() >= 100).await;
    let _second = ledger(&world).start(connect(&server).await).await.unwrap();
    hold.send_replace(true);
    eventually("it stands still", async || {
        let before = world.count();
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.count() == before
    })
    .await;
    let (stood, done) = (Instant::now(), world.count());
    eventually("the other one goes on", async || world.count() > done + 20).await;
    assert!(stood.elapsed() < Duration::from_secs(4), "{:?}", stood.elapsed());
    hold.send_replace(false);
    eventually("all are handled", async || world.count() >= 800).await;
    all_quiet(&client).await;
    let again = world.is_in_order(40, 20);
    // What was done and not told: at most what was in hand and done in a quarter of the lease.
    assert!(again < 200, "{again} were handled again");
    drop(hold);
    first.join().unwrap();
}

/// An instance with a runtime of its own, with which it can die: it says nothing to the server any more.
struct Mortal {
    runtime: tokio::runtime::Runtime,
    running: Running,
}

impl Mortal {
    async fn start(server: &Server, service: Service<World>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let nats = runtime
            .spawn(tidewire::connect(server.url()))
            .await
            .unwrap()
            .unwrap();
        let running = runtime.spawn(service.start(nats)).await.unwrap().unwrap();
        Self { runtime, running }
    }

    fn dies(self) {
        self.runtime.shutdown_background();
        std::mem::forget(self.running);
    }
}

#[tokio::test]
async fn another_instance_takes_over_from_one_that_is_dead() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(80)));
    let client = connect(&server).await;
    publish(&client, 40, 20).await;
    let first = Mortal::start(&server, ledger(&world)).await;
    eventually("some are handled", async || world.count() >= 100).await;
    let second = ledger(&world).start(connect(&server).await).await.unwrap();
    first.dies();
    eventually("all are handled", async || world.count() >= 800).await;
    all_quiet(&client).await;
    let again = world.is_in_order(40, 20);
    assert!(again < 200, "{again} were handled again");
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
    world.0.failing.lock().unwrap().clear();
    eventually("all are handled", async || world.count() == 1000).await;
    assert_eq!(world.is_in_order(50, 20), 0);
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
    assert_eq!(letters[1].record.trouble.as_ref().unwrap().attempts, 4);
    assert_eq!(world.runs_of("k2", 3), 4);
}

#[tokio::test]
async fn a_replayed_letter_takes_its_turn_in_the_lane_of_its_key() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(200)));
    let client = connect(&server).await;
    world.fails("k0", 0, Fails::Reject);
    publish(&client, 1, 1).await;
    let running = ledger(&world).start(connect(&server).await).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);
    world.0.failing.lock().unwrap().clear();
    // While events of its key run, one after the other; two at once would panic.
    publish_from(&client, 1, 1, 30).await;
    replay_to(&client, &letter, "ledger", "book").await;
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
