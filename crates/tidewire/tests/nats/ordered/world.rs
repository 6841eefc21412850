//! What the handlers of a ledger do, over all of its instances.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidewire::prelude::*;
use tokio::sync::watch;

use crate::support::PaymentProcessed;

/// What the handlers of all instances did, and what they are to do.
#[derive(Clone, Default)]
pub(super) struct World(pub(super) Arc<Inner>, Instance, pub(super) Gate);

/// One that stands still keeps what it runs beside what the next active one runs.
type Instance = u8;

/// Lets so many runs go on and holds up the others; without a number all go on.
#[derive(Clone, Default)]
pub(super) struct Gate {
    came: Arc<AtomicUsize>,
    most: watch::Sender<Option<usize>>,
}

impl Gate {
    /// So many more go on, beside those that are held up.
    pub(super) fn lets(&self, more: usize) {
        self.most
            .send_replace(Some(self.came.load(Ordering::Relaxed) + more));
    }

    pub(super) fn opens(&self) {
        self.most.send_replace(None);
    }

    async fn pass(&self) {
        let number = self.came.fetch_add(1, Ordering::Relaxed);
        let goes_on = |most: &Option<usize>| most.is_none_or(|most| number < most);
        self.most.subscribe().wait_for(goes_on).await.unwrap();
    }
}

#[derive(Default)]
pub(super) struct Inner {
    /// Key, number, and whether it went well; by the end of the run.
    pub(super) ran: Mutex<Vec<(String, usize, bool)>>,
    /// Which keys run now, and how many were seen to run at once.
    running: Mutex<BTreeSet<(Instance, String)>>,
    pub(super) together: AtomicUsize,
    /// Events that fail, and whether they are rejected.
    failing: Mutex<BTreeMap<(String, usize), Fails>>,
    slow: Mutex<Duration>,
}

#[derive(Clone, Copy)]
pub(super) enum Fails {
    Retry(usize),
    Reject,
}

pub(super) async fn book(
    State(world): State<World>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    let (key, number) = (paid.payment_id, paid.note.parse::<usize>().unwrap());
    let turn = Turn::of(&world, &key);
    world.2.pass().await;
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
    pub(super) fn slow(self, slow: Duration) -> Self {
        *self.0.slow.lock().unwrap() = slow;
        self
    }

    /// So many runs go on, and the others wait.
    pub(super) fn held(self, most: usize) -> Self {
        self.2.lets(most);
        self
    }

    /// The same for an instance of which so many runs go on.
    pub(super) fn of_another(&self, most: usize) -> Self {
        Self(self.0.clone(), 1, Gate::default()).held(most)
    }

    pub(super) fn fails(&self, key: &str, number: usize, fails: Fails) {
        self.0.failing.lock().unwrap().insert((key.into(), number), fails);
    }

    /// From its next run on it goes well.
    pub(super) fn mends(&self, key: &str, number: usize) {
        self.0.failing.lock().unwrap().remove(&(key.into(), number));
    }

    /// The numbers that were handled well, by key, in the order in which they were for the first time; and how many were
    /// handled again. One that lost its lease runs again what it had in hand.
    pub(super) fn handled(&self) -> (BTreeMap<String, Vec<usize>>, usize) {
        let (mut handled, mut again) = (BTreeMap::<_, Vec<_>>::new(), 0);
        for (key, number, _) in self.0.ran.lock().unwrap().iter().filter(|(_, _, well)| *well) {
            let numbers = handled.entry(key.clone()).or_default();
            if numbers.contains(number) {
                again += 1;
            } else {
                numbers.push(*number);
            }
        }
        (handled, again)
    }

    /// How many were handled well.
    pub(super) fn count(&self) -> usize {
        self.handled().0.values().map(Vec::len).sum()
    }

    pub(super) fn of(&self, key: &str) -> Vec<usize> {
        self.handled().0.remove(key).unwrap_or_default()
    }

    /// All runs so far.
    pub(super) fn runs(&self) -> usize {
        self.0.ran.lock().unwrap().len()
    }

    pub(super) fn runs_of(&self, key: &str, number: usize) -> usize {
        let ran = self.0.ran.lock().unwrap();
        ran.iter().filter(|run| run.0 == key && run.1 == number).count()
    }

    /// Each number was first handled after all those before it.
    pub(super) fn is_in_order(&self, keys: usize, events: usize) {
        let (handled, _) = self.handled();
        assert_eq!(handled.len(), keys, "every key");
        for (key, numbers) in handled {
            assert_eq!(numbers, (0..events).collect::<Vec<_>>(), "{key}");
        }
    }
}
