//! The work of one durable, whichever of its streams it comes from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{desk::Desk, in_hand::InHand, settle::Job};
use crate::{crew::Crew, wiring::Wiring};

/// What a handler is taken to need before the first was measured.
const FIRST_GUESS: Duration = Duration::from_millis(500);

/// What the pullers of one durable share: its limits hold for all of its streams, and for its replays too.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(super) desk: Arc<Desk>,
    pub(super) crew: Crew<Job>,
    pub(super) in_hand: InHand,
    pub(super) ack_wait: Duration,
    /// How long the handler took lately, in nanoseconds: a moving average.
    typical: Arc<AtomicU64>,
}

impl Work {
    /// Ready to work; what is in hand is marked as in progress until the service is over.
    pub(crate) fn new(wiring: &Wiring, desk: Desk, ack_wait: Duration) -> Self {
        let typical = Arc::new(AtomicU64::new(
            u64::try_from(FIRST_GUESS.as_nanos()).unwrap_or(u64::MAX),
        ));
        let (concurrency, desk) = (desk.route.concurrency, Arc::new(desk));
        let (working, measured) = (desk.clone(), typical.clone());
        let crew = Crew::new(wiring.pool.clone(), concurrency, move |job: Job| {
            let (desk, measured) = (working.clone(), measured.clone());
            async move {
                let began = Instant::now();
                job.work(&desk).await;
                average(&measured, began.elapsed());
            }
            .boxed()
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
        }
    }

    /// How long the handler took lately.
    pub(super) fn typical(&self) -> Duration {
        Duration::from_nanos(self.typical.load(Ordering::Relaxed))
    }
}

/// Moves the average an eighth of the way.
fn average(typical: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let before = typical.load(Ordering::Relaxed);
    typical.store(before - before / 8 + took / 8, Ordering::Relaxed);
}
