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
/// The durable that does what the first one orders, and where its commands wait.
pub(crate) const BY_ORDER: &str = "do";
pub(crate) const QUEUE: &str = "CRASH__RESULTS__QUEUE";
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

/// A durable command: what a job is done by where its handler does not do it itself.
#[derive(Command, Serialize, Deserialize, JsonSchema, Debug)]
#[command(subject = "crash.results.job.do", key = job)]
pub(crate) struct DoJob {
    pub(crate) job: String,
}

/// How a worker comes to its effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// The handler of a job emits it.
    #[default]
    Alone,
    /// A handler of batches stores it by itself, under the job as its id.
    Batches,
    /// The handler of a job sends a command, and the handler of that emits it.
    ByOrder,
}

/// A stream, as one durable of the worker reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Jobs,
    Orders,
}

impl Source {
    pub(crate) const fn stream(self) -> &'static str {
        match self {
            Self::Jobs => JOBS,
            Self::Orders => QUEUE,
        }
    }

    pub(crate) const fn durable(self) -> &'static str {
        match self {
            Self::Jobs => DURABLE,
            Self::Orders => BY_ORDER,
        }
    }

    pub(crate) fn consumer(self) -> String {
        format!("{SERVICE}__{}", self.durable())
    }

    pub(crate) fn of(stream: &str) -> Option<Self> {
        [Self::Jobs, Self::Orders]
            .into_iter()
            .find(|source| source.stream() == stream)
    }
}

impl Way {
    /// What is read this way.
    pub(crate) const fn sources(self) -> &'static [Source] {
        match self {
            Self::Alone | Self::Batches => &[Source::Jobs],
            Self::ByOrder => &[Source::Jobs, Source::Orders],
        }
    }
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
    /// It is rejected until what it needs is mended.
    Mend,
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
    const ALL: [(Self, &'static str); 9] = [
        (Self::Fine, "fine"),
        (Self::Once, "once"),
        (Self::Late, "late"),
        (Self::Reject, "reject"),
        (Self::Mend, "mend"),
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
            Self::Fine | Self::Once | Self::Late | Self::Hang | Self::Mend => End::Handled,
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
