//! Why a demo does not come to its end.

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use tidewire::{ConnectError, RunError, StartError, StopError};
use tidewire_ops::OpsError;
use tidewire_server::ServerError;
use tidewire_shop::{BucketError, books::ReadError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("cannot {what}: {source}; see that there is room, and that this user may write there")]
    System { what: String, source: io::Error },
    #[error("after {within:?} these had not started: {}; see {}", .missing.join(", "), .logs.display())]
    NotUp {
        missing: Vec<String>,
        within: Duration,
        logs: PathBuf,
    },
    #[error("{name} has ended ({how}), and the shop cannot go on; read the end of {}:\n{tail}", .log.display())]
    Died {
        name: String,
        how: String,
        log: PathBuf,
        tail: String,
    },
    #[error("{name} did not stop in good order ({how}); read the end of {}:\n{tail}", .log.display())]
    BadEnd {
        name: String,
        how: String,
        log: PathBuf,
        tail: String,
    },
    #[error(
        "the connection to the server does not carry: {0}; see that this machine is not overloaded, and run the demo again"
    )]
    Connection(String),
    #[error("interrupted again, and the books were not compared; let the demo end, or interrupt it once")]
    Interrupted,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Stop(#[from] StopError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Letters(#[from] OpsError),
}

impl DemoError {
    pub(crate) fn system(what: impl Into<String>, source: io::Error) -> Self {
        Self::System {
            what: what.into(),
            source,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Server(_) | Self::Connect(_) | Self::System { .. } => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}
