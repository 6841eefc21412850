//! The messages in hand of a durable that is ordered by key, by their keys.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tidewire_core::lane::{Effect, Input, Lane};
use tokio::{sync::Notify, time::Instant};

use crate::consumer::settle::Job;

/// How many messages of lanes are in hand that cannot run now, for whoever decides how many more may come: what waits for
/// another one of its key, or for its delay, or to be parked, takes no room from other keys.
#[derive(Clone, Debug, Default)]
pub(in crate::consumer) struct Waiting(Arc<(AtomicUsize, Notify)>);

/// Every lane that is not open, with what waits in it.
#[derive(Debug)]
pub(super) struct Lanes {
    waiting: Waiting,
    keys: HashMap<Arc<str>, Entry>,
    /// When which lane wakes; the number tells lanes apart that wake together.
    timers: BTreeMap<(Instant, u64), Arc<str>>,
    next: u64,
}

#[derive(Debug, Default)]
struct Entry {
    lane: Lane,
    /// The first one while it sleeps in hand.
    first: Option<Job>,
    waiting: VecDeque<Job>,
}

impl Waiting {
    pub(in crate::consumer) fn len(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Returns when more wait or fewer, from the moment of the call.
    pub(in crate::consumer) fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.0.1.notified()
    }

    fn change(&self, before: usize, after: usize) {
        let count = &self.0.0;
        match after.checked_sub(before) {
            Some(0) => return,
            Some(more) => count.fetch_add(more, Ordering::Relaxed),
            None => count.fetch_sub(before - after, Ordering::Relaxed),
        };
        self.0.1.notify_waiters();
    }
}

impl Entry {
    fn waiting(&self) -> usize {
        let leaving = match self.lane {
            Lane::Parked { leaving, .. } => leaving,
            _ => 0,
        };
        self.waiting.len() + usize::from(self.first.is_some()) + leaving
    }
}

/// What is to be done outside the lanes.
#[derive(Debug)]
pub(super) enum Order {
    Run(Box<Job>),
    Park(Box<Job>),
    Fetch(Arc<str>),
}

impl Lanes {
    pub(super) fn new(waiting: Waiting) -> Self {
        Self {
            waiting,
            keys: HashMap::new(),
            timers: BTreeMap::new(),
            next: 0,
        }
    }

    /// Carries out what follows from `input`; `job` is the message that came, or the one that is to run again.
    pub(super) fn step(&mut self, name: &Arc<str>, input: Input, job: Option<Job>) -> Vec<Order> {
        let entry = self.keys.entry(name.clone()).or_default();
        let before = entry.waiting();
        let (lane, effect) = entry.lane.step(input);
        let (mut came, mut orders) = (job, Vec::new());
        if matches!(input, Input::Again(_)) {
            entry.first = came.take();
        }
        entry.lane = lane;
        let run = |job: Option<Job>| job.map(|job| Order::Run(Box::new(job)));
        let mut sleep = None;
        match effect {
            Effect::Run => orders.extend(run(came)),
            Effect::Wait => entry.waiting.extend(came),
            Effect::Next => orders.extend(run(entry.waiting.pop_front())),
            Effect::Repeat => orders.extend(run(entry.first.take())),
            Effect::Sleep(delay) => sleep = Some(delay),
            Effect::Park => orders.extend(came.map(|job| Order::Park(Box::new(job)))),
            Effect::ParkAll(delay) => {
                sleep = delay;
                let all = entry.first.take().into_iter().chain(entry.waiting.drain(..));
                orders.extend(all.chain(came).map(|job| Order::Park(Box::new(job))));
            }
            Effect::Fetch => orders.push(Order::Fetch(name.clone())),
            Effect::Nothing => {}
        }
        if matches!(lane, Lane::Parked { .. }) {
            // It is fetched again: its place is in the stream.
            entry.first = None;
        }
        self.waiting.change(before, entry.waiting());
        if lane == Lane::Open {
            self.keys.remove(name);
        }
        if let Some(delay) = sleep {
            self.next += 1;
            self.timers
                .insert((Instant::now() + delay, self.next), name.clone());
        }
        orders
    }

    /// When the next lane wakes.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// Wakes the lanes whose time has come.
    pub(super) fn wake(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        while let Some(entry) = self
            .timers
            .first_entry()
            .filter(|entry| entry.key().0 <= Instant::now())
        {
            let name = entry.remove();
            orders.extend(self.step(&name, Input::Awake, None));
        }
        orders
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        let all = self.keys.values().map(Entry::waiting).sum();
        self.waiting.change(all, 0);
    }
}
