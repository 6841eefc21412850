//! Parking and fetching, which wait for the server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until},
};

use super::{Event, Parking, Term, parking_cause};
use crate::{
    consumer::{say::Said, settle::Job, work::Work},
    health::Health,
};

/// Between two tries to park a message, or to fetch a parked one.
const AGAIN: Duration = Duration::from_secs(1);

/// What the one task that parks and fetches is told.
pub(super) enum Errand {
    Park(Box<Job>),
    Fetch(Arc<str>),
}

/// What is to be done next: a fetch and a park take turns, so that no key waits until thousands of another one are parked.
#[derive(Default)]
struct Due {
    fetches: VecDeque<Errand>,
    parks: VecDeque<Errand>,
    /// Whether the last one was a fetch.
    fetched: bool,
}

impl Due {
    fn push(&mut self, errand: Errand) {
        self.queue(&errand).push_back(errand);
    }

    /// These come before all others of their keys.
    fn again(&mut self, errands: &mut VecDeque<Errand>) {
        for errand in errands.drain(..).rev() {
            self.queue(&errand).push_front(errand);
        }
    }

    fn queue(&mut self, errand: &Errand) -> &mut VecDeque<Errand> {
        match errand {
            Errand::Park(_) => &mut self.parks,
            Errand::Fetch(_) => &mut self.fetches,
        }
    }

    fn pop(&mut self) -> Option<Errand> {
        let (first, second) = if self.fetched {
            (&mut self.parks, &mut self.fetches)
        } else {
            (&mut self.fetches, &mut self.parks)
        };
        let next = first.pop_front().or_else(|| second.pop_front());
        self.fetched = matches!(next, Some(Errand::Fetch(_)));
        next
    }

    fn is_empty(&self) -> bool {
        self.fetches.is_empty() && self.parks.is_empty()
    }
}

impl Errand {
    fn lane(&self) -> Option<&Arc<str>> {
        match self {
            Self::Park(job) => job.seat.as_ref().map(|seat| &seat.lane),
            Self::Fetch(lane) => Some(lane),
        }
    }
}

/// Parks and fetches, one message after the other: so those of a key keep their order, and on three replicas no two
/// publishes expect the same sequence of the term at once, of which the server would refuse one. What cannot be done waits,
/// and what is of the same key behind it; other keys go on.
pub(super) async fn run_errands(
    errands: &mut UnboundedReceiver<Errand>,
    parking: &Arc<Parking>,
    term: &Arc<Term>,
    work: &Work,
    health: &Health,
) {
    let cause = parking_cause(work);
    let (mut due, mut later) = (Due::default(), VecDeque::new());
    let mut again_at = Instant::now();
    loop {
        while let Ok(errand) = errands.try_recv() {
            due.push(errand);
        }
        if due.is_empty() {
            tokio::select! {
                () = sleep_until(again_at), if !later.is_empty() => {}
                errand = errands.recv() => match errand {
                    Some(errand) => due.push(errand),
                    None => return std::future::pending().await,
                },
            }
        }
        if again_at <= Instant::now() {
            due.again(&mut later);
        }
        let Some(errand) = due.pop() else {
            continue;
        };
        let Some(lane) = errand.lane().cloned() else {
            continue;
        };
        if later.iter().any(|waiting: &Errand| waiting.lane() == Some(&lane)) {
            later.push_back(errand);
            continue;
        }
        let done = match &errand {
            Errand::Park(job) => parking
                .store(job, &lane)
                .await
                .map(|new| Event::Stored(lane.clone(), new)),
            Errand::Fetch(_) => parking
                .fetch(&lane, term, &work.in_hand)
                .await
                .map(|job| Event::Fetched(lane.clone(), job.map(Box::new))),
        };
        match done {
            Ok(event) => {
                if let Errand::Park(job) = errand {
                    tracing::trace!(target: "tidewire::walk", "parked");
                    // It is kept: its own stream may let it go.
                    drop(job.say(Said::Ack, &work.desk).await);
                }
                work.tell(event);
                if due.is_empty() && later.is_empty() {
                    health.goes_on(&cause);
                }
            }
            Err(error) => {
                let what = format!(
                    "a message cannot be parked, or a parked one not be read; its key waits: {error}"
                );
                tracing::warn!(durable = work.desk.durable(), key = &*lane, "{what}");
                health.degrades(&cause, what);
                if later.is_empty() {
                    again_at = Instant::now() + AGAIN;
                }
                later.push_back(errand);
            }
        }
        if term.is_over() {
            return std::future::pending().await;
        }
    }
}
