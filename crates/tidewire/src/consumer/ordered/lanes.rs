//! The messages in hand of a durable that is ordered by key, by their keys.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use tidewire_core::lane::{Effect, Input, Lane};
use tokio::time::Instant;

use crate::consumer::settle::Job;

/// Every lane that is not open, with what waits in it.
#[derive(Debug, Default)]
pub(super) struct Lanes {
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

/// What is to be done outside the lanes.
#[derive(Debug)]
pub(super) enum Order {
    Run(Box<Job>),
    Park(Box<Job>),
    Fetch(Arc<str>),
}

impl Lanes {
    /// Carries out what follows from `input`; `job` is the message that came, or the one that is to run again.
    pub(super) fn step(&mut self, name: &Arc<str>, input: Input, job: Option<Job>) -> Vec<Order> {
        let entry = self.keys.entry(name.clone()).or_default();
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
        match lane {
            Lane::Open => drop(self.keys.remove(name)),
            // It is fetched again: its place is in the stream.
            Lane::Parked { .. } => entry.first = None,
            _ => {}
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
