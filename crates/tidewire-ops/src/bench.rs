//! Measured speed: what a service of Tidewire's does in a second, with everything on that a service has.
//!
//! A workload runs in this process and against the server that it is given, in a stream of its own,
//! `TIDEWIRE-BENCH__ORDERS`. What it measures is this process, this machine and that server together.

mod ask;
mod consume;
mod latency;
mod live;
mod messages;
mod place;
mod progress;
mod usage;

use std::{fmt, net::Ipv4Addr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use tidewire::{
    BoxError, Connection, Service,
    async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind},
    wire,
};

/// What a benchmark of something else than Tidewire needs, to do the same.
#[doc(hidden)]
pub use self::{latency::observe, live::publish, place::AT_ONCE as CONFIRMATIONS, progress::Progress};
pub use self::{
    messages::{Placed, Price, Priced, Shown},
    usage::Usage,
};

/// Something that services do, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Events published without confirmation to a live handler, in messages a second.
    Live,
    /// Queries, 64 of them under way at any time, in answers a second.
    #[serde(rename = "ask-64")]
    Ask64,
    /// Queries one after the other, in microseconds from question to answer.
    #[serde(rename = "ask-1")]
    Ask1,
    /// Events stored, 1,024 confirmations awaited at any time, in events a second.
    Publish,
    /// A durable handler that handles one event at a time, in events a second.
    #[serde(rename = "consume-1")]
    Consume1,
    /// A durable handler that handles 64 events at once, in events a second.
    #[serde(rename = "consume-64")]
    Consume64,
    /// A durable handler of 2,000 events a second, in microseconds from the publish of each to its ack.
    Latency,
}

/// Whether the services of a benchmark tell of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telemetry {
    /// Metrics are recorded and served, as in production.
    On,
    /// Nobody records anything: what is left is the work.
    Off,
}

/// What one run of a workload took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How many messages there were.
    pub messages: u64,
    /// How long they took together, in seconds, without the start and the end of the service.
    pub seconds: f64,
    /// How long each took, in microseconds: half of them took less. Only where messages are timed one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// Of a hundred messages 99 took less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
}

/// A workload that could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Something on the way failed.
    #[error(
        "the benchmark `{workload}` cannot {what}: {source}; see that the server runs with JetStream on, and that this user \
         may use it"
    )]
    Failed {
        /// Which one.
        workload: Workload,
        /// What was being done.
        what: &'static str,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// Messages stayed away.
    #[error(
        "the benchmark `{workload}` saw {seen} of {expected} messages within {within:?} and no more came; see that the server has JetStream and is not overloaded"
    )]
    Unfinished {
        /// Which one.
        workload: Workload,
        /// How many were handled.
        seen: u64,
        /// How many there were.
        expected: u64,
        /// How long the next one was awaited.
        within: Duration,
    },
}

/// Where the events of the benchmarks are stored.
pub const STREAM: &str = "TIDEWIRE-BENCH__ORDERS";
/// Who runs them.
pub const SERVICE: &str = "tidewire-bench";

/// Makes ready what a workload with so many messages finds there: a stream, and the events that it reads.
///
/// # Errors
/// [`BenchError`]; what was stored is there until [`remove`].
pub async fn prepare(nats: &Connection, workload: Workload, messages: u64) -> Result<(), BenchError> {
    let stored = match workload {
        Workload::Live | Workload::Ask64 | Workload::Ask1 => return Ok(()),
        Workload::Publish | Workload::Latency => 0,
        Workload::Consume1 | Workload::Consume64 => messages,
    };
    // The start makes the stream.
    place::run(nats, 0, Telemetry::Off).await?;
    consume::store(nats, workload, stored).await
}

/// Runs one workload with so many messages. The consuming ones read what [`prepare`] has stored.
///
/// A recorder of metrics is one for the whole process: after a run with telemetry all later ones have it too.
///
/// # Errors
/// [`BenchError`] where it could not be run to its end.
pub async fn run(
    nats: &Connection,
    workload: Workload,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    match workload {
        Workload::Live => live::run(nats, messages, telemetry).await,
        Workload::Ask64 => ask::at_once(nats, messages, telemetry).await,
        Workload::Ask1 => ask::one_by_one(nats, messages, telemetry).await,
        Workload::Publish => place::run(nats, messages, telemetry).await,
        Workload::Consume1 => consume::run(nats, workload, 1, messages, telemetry).await,
        Workload::Consume64 => consume::run(nats, workload, 64, messages, telemetry).await,
        Workload::Latency => latency::run(nats, messages, telemetry).await,
    }
}

fn service(telemetry: Telemetry) -> Service {
    let service = Service::new(SERVICE, "1.0.0");
    match telemetry {
        Telemetry::On => service.monitor((Ipv4Addr::LOCALHOST, 0)),
        Telemetry::Off => service,
    }
}

/// Removes what the benchmarks have made: their streams, and the manifest of their service. The streams that all
/// services share stay.
///
/// # Errors
/// [`BenchError`] where the server refuses.
pub async fn remove(nats: &Connection) -> Result<(), BenchError> {
    let failed = |error: BoxError| Workload::Publish.failed("remove what it made", error);
    let js = nats.jetstream();
    let runs = format!("KV_{}", wire::runs_bucket(SERVICE));
    for stream in [STREAM.to_owned(), wire::service_stream(SERVICE), runs] {
        match js.delete_stream(&stream).await {
            Ok(_) => {}
            Err(error) if is_absent(&error.kind()) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    if let Ok(manifests) = js.get_key_value(wire::MANIFESTS_BUCKET).await {
        let removed = manifests.purge(SERVICE).await;
        removed.map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

fn is_absent(error: &GetStreamErrorKind) -> bool {
    matches!(error, GetStreamErrorKind::JetStream(api) if api.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Live,
        Self::Ask64,
        Self::Ask1,
        Self::Publish,
        Self::Consume1,
        Self::Consume64,
        Self::Latency,
    ];

    /// Its name, as [`FromStr`] reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ask64 => "ask-64",
            Self::Ask1 => "ask-1",
            Self::Publish => "publish",
            Self::Consume1 => "consume-1",
            Self::Consume64 => "consume-64",
            Self::Latency => "latency",
        }
    }

    /// What it does, in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Live => "core publish to a live handler",
            Self::Ask64 => "queries, 64 in flight",
            Self::Ask1 => "queries, one after the other",
            Self::Publish => "events stored, 1,024 in flight",
            Self::Consume1 => "durable handler, one at a time",
            Self::Consume64 => "durable handler, 64 at once",
            Self::Latency => "durable handler, 2,000 a second",
        }
    }

    /// So many messages that a run takes about a second.
    pub const fn messages(self) -> u64 {
        match self {
            Self::Live => 300_000,
            Self::Ask64 => 50_000,
            Self::Ask1 => 4_000,
            Self::Publish => 100_000,
            Self::Consume1 | Self::Consume64 => 200_000,
            Self::Latency => 6_000,
        }
    }

    pub(crate) fn failed(self, what: &'static str, source: impl Into<BoxError>) -> BenchError {
        BenchError::Failed {
            workload: self,
            what,
            source: source.into(),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|workload| workload.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no workload `{text}`; there are {names}")
        })
    }
}

impl Measured {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 messages")]
        let messages = self.messages as f64;
        messages / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Of messages that were timed one by one.
    pub fn timed(mut micros: Vec<f64>, took: Duration) -> Self {
        micros.sort_by(f64::total_cmp);
        let at = |share: usize| micros.get(micros.len() * share / 100).copied();
        Self {
            messages: micros.len() as u64,
            seconds: took.as_secs_f64(),
            p50: at(50),
            p99: at(99),
        }
    }

    /// Of messages that were timed together.
    pub fn together(messages: u64, took: Duration) -> Self {
        Self {
            messages,
            seconds: took.as_secs_f64(),
            p50: None,
            p99: None,
        }
    }
}
