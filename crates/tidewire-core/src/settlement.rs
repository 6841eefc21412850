//! What becomes of one delivery of a message, from its arrival to its settlement.
//!
//! A state machine and nothing else: [`State::step`] takes what happened and says what to do next. The runtime carries
//! it out and reports what came of it. `docs/settlement.md` is its table, written by a test.

use std::time::Duration;

use crate::Verdict;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// It has come, and nothing was done about it.
    Arrived,
    /// It came before, and how often it was run is being read.
    Reading,
    /// That its next run begins is being written down.
    Marking {
        /// Runs before this one.
        runs: u32,
    },
    /// Its handler runs.
    Running {
        /// Runs before this one.
        runs: u32,
        /// Whether the store of runs says that this one began.
        marked: bool,
    },
    /// Its runs are being written down, and then this follows.
    Counting(After),
    /// It waits in hand until its handler may run again.
    Held {
        /// Runs that were spent so far.
        runs: u32,
        /// Whether the store of runs knows it.
        marked: bool,
    },
    /// A record of it is being stored.
    Keeping,
    /// All is said about it.
    Settled,
}

/// What follows once the runs are written down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// It is done.
    Ack,
    /// It is delivered again after this long.
    Nak(Duration),
    /// A record of it is stored.
    Keep(Keep),
    /// It waits in hand.
    Hold {
        /// Runs that were spent so far.
        runs: u32,
    },
}

/// Which record is stored of a message that leaves its consumer unhandled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// A dead letter.
    Letter,
    /// That it was discarded.
    Discarded,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// The server delivered it, for the `delivery`th time.
    Came {
        /// From 1. A delivery is no run: a message that was given back counts up too.
        delivery: u64,
    },
    /// How often it was run; `None` where that could not be read.
    Runs(Option<Runs>),
    /// Whether it is written down that its run begins.
    Marked(bool),
    /// Its handler has come to an end.
    Ended {
        /// What is to become of it.
        verdict: Verdict,
        /// How long ago its first run failed.
        since: Duration,
        /// From 0 to 1: for the jitter of a delay.
        random: f64,
    },
    /// Whether its runs are written down.
    Counted(bool),
    /// The breaker lets it run again.
    Admitted,
    /// Whether the record is stored, and confirmed by its stream.
    Kept(bool),
    /// Too long ago the server was told that it is worked on: somebody else may have it by now.
    LeaseLost,
    /// The service ends.
    Stopping,
}

/// How often a message was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Runs so far that count; one that never ended does where it was alone.
    pub count: u32,
    /// Whether the last one began and never ended.
    pub unfinished: bool,
    /// What is stored of it where none is to follow.
    pub spent: Option<Keep>,
}

/// What to do next. Each is done before the next step, and settling effects only under a lease.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Read how often it was run, then say [`Input::Runs`].
    Read,
    /// Write down that a run begins, then say [`Input::Marked`].
    Mark {
        /// Runs that count if this one never ends: itself only where it is alone, because of those side by side any
        /// may have killed the process. So a death costs one message an attempt at most.
        count: u32,
        /// From here to its end no other suspect beside it: what kills the process is then known by its name.
        alone: bool,
    },
    /// Run its handler, then say [`Input::Ended`].
    Run {
        /// The number of this run, from 1.
        attempt: u32,
    },
    /// Write down how many runs have ended, then say [`Input::Counted`].
    Count {
        /// Runs that count, or `None` for as many as there may be: none is to follow.
        count: Option<u32>,
    },
    /// Wait until the handler may run, then say [`Input::Admitted`].
    Wait,
    /// Store a record of it, whole, and await the confirmation, then say [`Input::Kept`].
    Keep(Keep),
    /// Say to the stream that it is done.
    Ack,
    /// Say to the stream to deliver it again, and not before this long.
    Nak(Duration),
    /// Say to the stream that it is to be delivered no more.
    Term,
    /// Say nothing: whoever has the message now settles it.
    Leave,
    /// Nothing: this input means nothing here.
    Nothing,
}

/// The wait before another look, where the store of runs or the dead-letter stream does not answer.
pub const UNANSWERED: Duration = Duration::from_secs(2);

impl State {
    /// What follows from `input`.
    #[must_use]
    pub fn step(self, input: Input) -> (Self, Effect) {
        match (self, input) {
            (Self::Settled, _) => (Self::Settled, Effect::Nothing),
            (_, Input::LeaseLost) => (Self::Settled, Effect::Leave),

            // The first run of a message costs nothing beside it.
            (Self::Arrived, Input::Came { delivery: 0 | 1 }) => Self::run(0, false),
            (Self::Arrived, Input::Came { .. }) => (Self::Reading, Effect::Read),

            // Before it is known how often it ran, it does not run.
            (Self::Reading, Input::Runs(None)) | (Self::Marking { .. }, Input::Marked(false)) => {
                Self::nak(UNANSWERED)
            }
            (Self::Reading, Input::Runs(Some(runs))) => match runs.spent {
                Some(keep) => Self::keep(keep),
                None => Self::mark(runs.count, runs.unfinished),
            },
            (Self::Marking { runs }, Input::Marked(true)) => Self::run(runs, true),

            (
                Self::Running { runs, marked },
                Input::Ended {
                    verdict,
                    since,
                    random,
                },
            ) => match verdict {
                // Its ack may be lost, and no run that ended well is to count when it comes again.
                Verdict::Done if marked => Self::count(Some(runs), After::Ack),
                Verdict::Done => (Self::Settled, Effect::Ack),
                // Counted first: a message whose record is stored must not run again.
                Verdict::DeadLetter => Self::count(None, After::Keep(Keep::Letter)),
                Verdict::Discard => Self::count(None, After::Keep(Keep::Discarded)),
                Verdict::Hold { .. } if marked => Self::count(Some(runs), After::Hold { runs }),
                Verdict::Hold { .. } => (Self::Held { runs, marked }, Effect::Wait),
                Verdict::Retry { policy, after } => {
                    let runs = runs.saturating_add(1);
                    if policy.is_over(runs, since) {
                        Self::count(None, After::Keep(Keep::Letter))
                    } else {
                        let delay = after.unwrap_or_else(|| policy.delay(runs, random));
                        Self::count(Some(runs), After::Nak(delay))
                    }
                }
            },

            // A run that could not be counted is one more than there may be; the message is not lost by it.
            (Self::Counting(After::Nak(delay)), Input::Counted(_)) => Self::nak(delay),
            (Self::Counting(After::Ack), Input::Counted(_)) => (Self::Settled, Effect::Ack),
            (Self::Counting(After::Keep(keep)), Input::Counted(_)) => Self::keep(keep),
            (Self::Counting(After::Hold { runs }), Input::Counted(_)) => {
                (Self::Held { runs, marked: true }, Effect::Wait)
            }

            (Self::Held { runs, marked: true }, Input::Admitted) => Self::mark(runs, false),
            (Self::Held { runs, marked: false }, Input::Admitted) => Self::run(runs, false),
            (Self::Held { .. } | Self::Marking { .. }, Input::Stopping) => Self::nak(Duration::ZERO),

            (Self::Keeping, Input::Kept(true)) => (Self::Settled, Effect::Term),
            // The next delivery stores the record and runs nothing.
            (Self::Keeping, Input::Kept(false)) => Self::nak(UNANSWERED),

            (state, _) => (state, Effect::Nothing),
        }
    }

    fn run(runs: u32, marked: bool) -> (Self, Effect) {
        let attempt = runs.saturating_add(1);
        (Self::Running { runs, marked }, Effect::Run { attempt })
    }

    fn mark(runs: u32, alone: bool) -> (Self, Effect) {
        let count = runs.saturating_add(u32::from(alone));
        (Self::Marking { runs }, Effect::Mark { count, alone })
    }

    fn count(count: Option<u32>, after: After) -> (Self, Effect) {
        (Self::Counting(after), Effect::Count { count })
    }

    fn keep(keep: Keep) -> (Self, Effect) {
        (Self::Keeping, Effect::Keep(keep))
    }

    fn nak(delay: Duration) -> (Self, Effect) {
        (Self::Settled, Effect::Nak(delay))
    }
}

#[cfg(test)]
mod tests;
