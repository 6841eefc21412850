//! Messages of one key one after the other, over all instances: see `docs/adr/0014-ordered-by-key.md`.

mod admission;
mod baton;
mod errands;
mod lane_of;
mod lanes;
mod lease;
mod parking;
mod term;

use std::{pin::pin, sync::Arc, time::Duration};

use async_nats::Subject;
use bytes::Bytes;
use futures_util::future::join_all;
use tidewire_core::lane::Input;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{sleep, sleep_until},
};

pub(super) use admission::{Admission, Admitted, GROUP};
pub(super) use lanes::Waiting;
pub(crate) use lease::Lease;
pub(crate) use parking::Parking;
pub(super) use term::{Seat, Term};

use self::{
    errands::{Errand, run_errands},
    lanes::{Lanes, Order},
};
use super::{
    puller::Puller,
    say::Fate,
    settle::{Job, send},
    work::Work,
};
use crate::wiring::Wiring;

/// Between two terms of one instance: another one that waits is first.
const PAUSE: Duration = Duration::from_millis(500);

/// What is told to the one task that keeps the order of a durable.
#[derive(Debug)]
pub(super) enum Event {
    /// A message came from a consumer.
    Came(Box<Job>),
    /// A message came of which only the ack is missing.
    Done(Subject),
    /// A message has run.
    Ended(Arc<str>, Fate),
    /// A message is parked; `true` where it was not before.
    Stored(Arc<str>, bool),
    /// The first of a key's parked messages is here; `None` where there is none.
    Fetched(Arc<str>, Option<Box<Job>>),
}

/// What is told, in its order.
#[derive(Debug)]
pub(crate) struct Events(pub(super) UnboundedReceiver<Event>);

/// A durable that is ordered by key, as one instance takes part in it.
pub(crate) struct Ordered {
    wiring: Wiring,
    work: Work,
    pullers: Vec<Puller>,
    lease: Lease,
    parking: Arc<Parking>,
    events: UnboundedReceiver<Event>,
}

impl Ordered {
    /// `work` must be one that [tells](Work::in_order) its `events`.
    pub(crate) fn new(
        wiring: &Wiring,
        work: Work,
        events: Events,
        pullers: Vec<Puller>,
        lease: Lease,
        parking: Arc<Parking>,
    ) -> Self {
        Self {
            wiring: wiring.clone(),
            work,
            pullers,
            lease,
            parking,
            events: events.0,
        }
    }

    /// Waits for terms, and serves them, until the service stops.
    pub(crate) async fn run(mut self) {
        while let Some(term) = self.lease.acquire(&self.wiring.stop).await {
            tracing::info!(
                durable = self.work.desk.durable(),
                "this instance is the active one"
            );
            Box::pin(self.serve(&term)).await;
            self.lease.release(&term).await;
            tokio::select! {
                () = self.wiring.stop.cancelled() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// One term: it begins with nothing in hand, and ends when nothing is in hand any more.
    async fn serve(&mut self, term: &Arc<Term>) {
        let cause = parking_cause(&self.work);
        let mut lanes = Lanes::new(self.work.waiting.clone());
        let (tell, mut errands) = unbounded_channel();
        match self.parking.begin().await {
            Ok(found) => {
                self.wiring.health.recovers(&cause);
                for (lane, count) in found {
                    let orders = lanes.step(&lane, Input::Found(count), None);
                    carry_out(orders, &self.work, &tell);
                }
            }
            Err(error) => {
                let what = format!("the parked messages of its stream cannot be read or written: {error}");
                self.wiring.health.ails(&cause, what);
                return term.end("the parked messages cannot be read");
            }
        }
        let Self {
            wiring,
            work,
            pullers,
            lease,
            parking,
            events,
        } = self;
        let mut pulls = pin!(join_all(pullers.iter_mut().map(|puller| puller.pull_for(term))));
        let mut renewals = pin!(lease.keep(term));
        let mut parked = pin!(run_errands(&mut errands, parking, term, work, &wiring.health));
        let (mut pulling, mut holding) = (true, true);
        loop {
            if term.is_over() {
                drop(work.crew.take_waiting(|_| true));
            }
            let wakes_at = lanes.wakes_at().filter(|_| !term.is_over());
            tokio::select! {
                _ = &mut pulls, if pulling => {
                    pulling = false;
                    term.end("nothing is pulled any more");
                }
                () = &mut renewals, if holding => holding = false,
                () = &mut parked, if !term.is_over() => {}
                Some(event) = events.recv() => {
                    let orders = hear(event, &mut lanes, term, wiring).await;
                    if !term.is_over() {
                        carry_out(orders, work, &tell);
                    }
                }
                () = async { sleep_until(wakes_at.unwrap_or_else(tokio::time::Instant::now)).await }, if wakes_at.is_some() => {
                    carry_out(lanes.wake(), work, &tell);
                }
                () = work.crew.at_most(0), if !pulling => break,
            }
        }
        // What was told and not heard was not begun either.
        while events.try_recv().is_ok() {}
        wiring.health.goes_on(&cause);
    }
}

/// What follows from an event, for the lanes; in a term that is over nothing does.
async fn hear(event: Event, lanes: &mut Lanes, term: &Arc<Term>, wiring: &Wiring) -> Vec<Order> {
    match event {
        Event::Came(job) => match &job.seat {
            Some(seat) => {
                let lane = seat.lane.clone();
                lanes.step(&lane, Input::Came, Some(*job))
            }
            None => Vec::new(),
        },
        Event::Done(ack) => {
            if term.holds() {
                send(&wiring.sender, ack, Bytes::from_static(b"+ACK")).await;
            }
            Vec::new()
        }
        Event::Ended(lane, Fate::Settled) => lanes.step(&lane, Input::Done, None),
        Event::Ended(lane, Fate::Again(job, delay)) => lanes.step(&lane, Input::Again(delay), Some(*job)),
        Event::Ended(_, Fate::Left) => {
            term.end("a message was left unsettled");
            Vec::new()
        }
        Event::Stored(lane, true) => lanes.step(&lane, Input::Stored, None),
        Event::Stored(lane, false) => lanes.step(&lane, Input::StoredBefore, None),
        Event::Fetched(_, Some(job)) => vec![Order::Run(job)],
        Event::Fetched(lane, None) => lanes.step(&lane, Input::Gone, None),
    }
}

fn carry_out(orders: Vec<Order>, work: &Work, tell: &UnboundedSender<Errand>) {
    for order in orders {
        // The receiver is there as long as the term.
        let _ = match order {
            Order::Run(job) => {
                work.crew.push(*job);
                continue;
            }
            Order::Park(job) => tell.send(Errand::Park(job)),
            Order::Fetch(lane) => tell.send(Errand::Fetch(lane)),
        };
    }
}

/// The name by which a service is not well whose messages cannot be parked.
fn parking_cause(work: &Work) -> String {
    format!("parking-{}", work.desk.durable())
}
