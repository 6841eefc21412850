//! What is written down of each run: lines of JSON, the first of which says where it was.

use std::{fmt::Write as _, fs, path::Path};

use serde::{Deserialize, Serialize};
use tidewire::BoxError;
use tidewire_ops::bench::{Measured, Usage, Workload};

/// A whole run of the benchmarks.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
}

/// Where and when; nothing that tells one machine of its kind from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    /// Such as `linux x86_64`.
    pub(crate) system: String,
    /// Of nats-server.
    pub(crate) server: String,
    /// Of the runtime on all sides.
    pub(crate) runtime: Flavor,
    /// RFC 3339.
    pub(crate) time: String,
    /// Of the sources.
    #[serde(default)]
    pub(crate) commit: String,
}

/// The tokio runtime that all sides run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flavor {
    /// One thread
    CurrentThread,
    /// A thread for each processor
    MultiThread,
}

/// One run of a workload on one side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) workload: Workload,
    /// From 1; the sides that are compared have the same.
    pub(crate) round: u32,
    pub(crate) side: Side,
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// Of its process from its first instruction to its last.
    #[serde(flatten)]
    pub(crate) usage: Usage,
}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    /// With all that a service has, metrics recorded and served.
    Tidewire,
    /// The same without a recorder of metrics.
    Silent,
    /// Without a recorder, and with a log of `tracing-subscriber` at its default level, which takes the span of each message.
    Logged,
    /// With metrics as the first one, and with every span exported by OTLP: all that is seen of it without a log. Built with
    /// the feature `otlp`, as all sides are then.
    Traced,
    /// The same with a sampler that does as the sender of a message did: of one message in a hundred the span is exported.
    Sampled,
    Raw,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tidewire => "tidewire",
            Self::Silent => "silent",
            Self::Logged => "logged",
            Self::Traced => "traced",
            Self::Sampled => "sampled",
            Self::Raw => "raw",
        }
    }

    /// Whether this program can be it.
    pub(crate) const fn is_built(self) -> bool {
        self.sampler().is_none() || cfg!(feature = "otlp")
    }

    /// Which spans it exports, as `OTEL_TRACES_SAMPLER` has it; `None` where there is no export.
    pub(crate) const fn sampler(self) -> Option<&'static str> {
        match self {
            Self::Traced => Some("always_on"),
            Self::Sampled => Some("parentbased_always_on"),
            Self::Tidewire | Self::Silent | Self::Logged | Self::Raw => None,
        }
    }
}

impl Flavor {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current-thread",
            Self::MultiThread => "multi-thread",
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Run, BoxError> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; `just bench` writes it", path.display()))?;
    let mut lines = text.lines();
    let machine = serde_json::from_str(lines.next().unwrap_or_default())?;
    let rows = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(Run { machine, rows })
}

pub(crate) fn write(path: &Path, run: &Run) -> Result<(), BoxError> {
    let mut text = serde_json::to_string(&run.machine)?;
    text.push('\n');
    for row in &run.rows {
        writeln!(text, "{}", serde_json::to_string(row)?)?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, text)?)
}
