//! The work of one durable, whichever of its streams it comes from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::Instant,
};

use super::{
    desk::Desk,
    in_hand::InHand,
    ordered::{Event, Events, Waiting},
    say::Fate,
    settle::Job,
};
use crate::{crew::Crew, wiring::Wiring};

/// What a handler is taken to need before the first was measured.
const FIRST_GUESS: Duration = Duration::from_millis(500);

/// From so many messages of a durable that is ordered by key in hand on none are asked for, though few of them can run.
const MOST_IN_LANES: usize = 4096;

/// What the pullers of one durable share: its limits hold for all of its streams, and for its replays too.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(super) desk: Arc<Desk>,
    pub(super) crew: Crew<Job>,
    pub(super) in_hand: InHand,
    pub(super) ack_wait: Duration,
    /// How long the handler took lately, in nanoseconds: a moving average.
    typical: Arc<AtomicU64>,
    /// Where it is told what comes and what has run, if the durable is ordered by key.
    order: Option<UnboundedSender<Event>>,
    /// How many of those in hand cannot run now, because keys are ordered.
    pub(super) waiting: Waiting,
}

impl Work {
    /// Ready to work; what is in hand is marked as in progress until the service is over.
    pub(crate) fn new(wiring: &Wiring, desk: Desk, ack_wait: Duration) -> Self {
        Self::start(wiring, desk, ack_wait, None)
    }

    /// The same for a durable that is ordered by key; whatever comes and has run is told to whoever keeps the order.
    pub(crate) fn in_order(wiring: &Wiring, desk: Desk, ack_wait: Duration) -> (Self, Events) {
        let (tell, events) = unbounded_channel();
        (Self::start(wiring, desk, ack_wait, Some(tell)), Events(events))
    }

    fn start(wiring: &Wiring, desk: Desk, ack_wait: Duration, order: Option<UnboundedSender<Event>>) -> Self {
        let typical = Arc::new(AtomicU64::new(
            u64::try_from(FIRST_GUESS.as_nanos()).unwrap_or(u64::MAX),
        ));
        let (concurrency, desk) = (desk.route.concurrency, Arc::new(desk));
        let (working, measured, ended) = (desk.clone(), typical.clone(), order.clone());
        let crew = Crew::new(wiring.pool.clone(), concurrency, move |job: Job| {
            let (desk, measured) = (working.clone(), measured.clone());
            let mut run = job.seat.as_ref().map(|seat| Run {
                lane: seat.lane.clone(),
                fate: Fate::Left,
                tell: ended.clone(),
            });
            async move {
                let began = Instant::now();
                let fate = job.work(&desk, began).await;
                if let Some(run) = &mut run {
                    run.fate = fate;
                }
                average(&measured, began.elapsed());
            }
        });
        let in_hand = InHand::new(ack_wait);
        // Not one of the service's tasks: marks go out until the last message in hand is settled.
        tokio::spawn(in_hand.clone().mark(wiring.sender.clone(), wiring.over.clone()));
        Self {
            desk,
            crew,
            in_hand,
            ack_wait,
            typical,
            order,
            waiting: Waiting::default(),
        }
    }

    /// Where the messages are worked on.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    /// Takes up a message: as soon as there is room, or when those of its key before it are done.
    pub(super) fn push(&self, job: Job) {
        if job.seat.is_some() {
            self.tell(Event::Came(Box::new(job)));
        } else {
            self.crew.push(job);
        }
    }

    /// Tells whoever keeps the order.
    pub(super) fn tell(&self, event: Event) {
        if let Some(order) = &self.order {
            // The receiver is there as long as the durable.
            let _ = order.send(event);
        }
    }

    /// Messages that wait for a place or run; of a durable that is ordered by key all, as soon as they are many: a slow key
    /// must neither keep others from coming nor fill the memory.
    pub(super) fn held(&self) -> usize {
        if self.order.is_none() {
            return self.crew.len();
        }
        match self.in_hand.len() {
            all @ 0..MOST_IN_LANES => all.saturating_sub(self.waiting.len()),
            all => all,
        }
    }

    /// Whether nothing is in hand at all.
    pub(super) fn is_idle(&self) -> bool {
        match self.order {
            Some(_) => self.in_hand.len() == 0,
            None => self.crew.len() == 0,
        }
    }

    /// Returns once half of what is in hand is done, `held` messages being [held](Self::held): then more may be asked for.
    pub(super) async fn eases(&self, held: usize) {
        if self.order.is_none() {
            return self.crew.at_most(held / 2).await;
        }
        let all = self.in_hand.len();
        tokio::select! {
            () = self.runnable(held / 2), if held > 0 => {}
            // Few may run whose bytes are all that may be in hand.
            () = self.in_hand.at_most(all / 2) => {}
        }
    }

    /// Returns once at most `most` messages are [held](Self::held), of a durable that is ordered by key.
    async fn runnable(&self, most: usize) {
        loop {
            let changed = self.waiting.changed();
            if self.held() <= most {
                return;
            }
            let in_hand = match self.in_hand.len() {
                0..MOST_IN_LANES => most + self.waiting.len(),
                _ => most.max(MOST_IN_LANES - 1),
            };
            tokio::select! {
                () = changed => {}
                () = self.in_hand.at_most(in_hand) => {}
            }
        }
    }

    /// How long the handler took lately.
    pub(super) fn typical(&self) -> Duration {
        Duration::from_nanos(self.typical.load(Ordering::Relaxed))
    }
}

/// A run of a message in a lane, whose end is told however it ends: without it the lane would wait for ever.
struct Run {
    lane: Arc<str>,
    fate: Fate,
    tell: Option<UnboundedSender<Event>>,
}

impl Drop for Run {
    fn drop(&mut self) {
        let fate = std::mem::replace(&mut self.fate, Fate::Left);
        if let Some(tell) = &self.tell {
            // Nobody hears it where the durable has ended.
            let _ = tell.send(Event::Ended(self.lane.clone(), fate));
        }
    }
}

/// Moves the average an eighth of the way.
fn average(typical: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let before = typical.load(Ordering::Relaxed);
    typical.store(before - before / 8 + took / 8, Ordering::Relaxed);
}
