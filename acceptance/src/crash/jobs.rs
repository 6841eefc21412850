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

/// Something to do, `<kind>-<number>`; each number is posted once.
#[derive(Event, Serialize, Deserialize, JsonSchema, Debug)]
#[event(subject = "crash.jobs.job.posted", key = job)]
pub(crate) struct JobPosted {
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
    const ALL: [(Self, &'static str); 7] = [
        (Self::Fine, "fine"),
        (Self::Once, "once"),
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
            Self::Fine | Self::Once | Self::Hang => End::Handled,
            Self::Discard => End::Discarded,
            Self::Reject | Self::Never | Self::Abort => End::Letter,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(kind, _)| kind == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}
