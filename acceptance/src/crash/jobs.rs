//! The messages of a run: each says by its key what becomes of it.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

/// The stream of the jobs, and the durable that handles them.
pub(crate) const JOBS: &str = "CRASH__JOBS";
pub(crate) const RESULTS: &str = "CRASH__RESULTS";
pub(crate) const SERVICE: &str = "worker";
pub(crate) const DURABLE: &str = "work";
pub(crate) const CONSUMER: &str = "worker__work";
/// How long the stream of the effects knows an id where each message is to have one effect: not long enough to hide a
/// second one.
pub(crate) const FORGETS: Duration = Duration::from_millis(100);

/// How many keys there are where jobs are ordered by key.
pub(crate) const KEYS: usize = 30;

/// Something to do, `<kind>-<number>`; each number is posted once, under a key of its own or, where jobs are ordered, under
/// one of the [`KEYS`].
#[derive(Event, Serialize, Deserialize, JsonSchema, Debug)]
#[event(subject = "crash.jobs.job.posted", key = key)]
pub(crate) struct JobPosted {
    pub(crate) key: String,
    pub(crate) job: String,
}

/// The effect of a job: an event whose identity follows from the job's.
#[derive(Event, Serialize, Deserialize, JsonSchema, Debug)]
#[event(subject = "crash.results.job.done", key = job)]
pub(crate) struct JobDone {
    pub(crate) job: String,
    pub(crate) attempt: u32,
}

/// What becomes of a job when its handler is given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// It succeeds.
    Fine,
    /// Its first attempt fails.
    Once,
    /// Its first two attempts fail, and after the second it waits for longer than a message is held in hand.
    Late,
    /// It is rejected.
    Reject,
    /// It fails by an error that a rule discards.
    Discard,
    /// It fails for ever.
    Never,
    /// Its handler ends the process.
    Abort,
    /// It takes much longer than the others, and succeeds.
    Hang,
}

/// Where a message ends, when all is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Handled,
    Letter,
    Discarded,
}

impl Kind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Fine, "fine"),
        (Self::Once, "once"),
        (Self::Late, "late"),
        (Self::Reject, "reject"),
        (Self::Discard, "discard"),
        (Self::Never, "never"),
        (Self::Abort, "abort"),
        (Self::Hang, "hang"),
    ];

    /// Of every kind that a handler can come to the end of: sixty percent are fine.
    pub(crate) fn mixed(number: usize) -> Self {
        match number % 20 {
            0..12 => Self::Fine,
            12..15 => Self::Once,
            15..17 => Self::Reject,
            17 => Self::Discard,
            _ => Self::Never,
        }
    }

    /// For jobs that are ordered: of every kind that fails by itself, and each key is late three times in a thousand.
    pub(crate) fn in_turns(number: usize) -> Self {
        let (key, round) = (number % KEYS, number / KEYS);
        // Each key is at another place, so that some are late at any time.
        match (round + key * 10) % 300 {
            0 => Self::Late,
            place if place % 50 == 10 => Self::Once,
            place if place % 50 == 20 => Self::Reject,
            place if place % 50 == 30 => Self::Never,
            place if place % 100 == 40 => Self::Discard,
            _ => Self::Fine,
        }
    }

    pub(crate) fn job(self, number: usize) -> String {
        format!("{self}-{number:07}")
    }

    /// The kind and the number that a job's name says.
    pub(crate) fn of(job: &str) -> Option<(Self, usize)> {
        let (kind, number) = job.split_once('-')?;
        let (kind, _) = Self::ALL.into_iter().find(|(_, name)| *name == kind)?;
        Some((kind, number.parse().ok()?))
    }

    pub(crate) fn end(self) -> End {
        match self {
            Self::Fine | Self::Once | Self::Late | Self::Hang => End::Handled,
            Self::Discard => End::Discarded,
            Self::Reject | Self::Never | Self::Abort => End::Letter,
        }
    }
}

/// The key of a job where jobs are ordered.
pub(crate) fn key_of(number: usize) -> String {
    format!("k{:02}", number % KEYS)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(kind, _)| kind == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}
