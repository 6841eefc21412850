//! Why a verb does not come to its end, and the exit status that follows.

use std::{error::Error as _, io, path::PathBuf, process::ExitCode};

use tidewire::ConnectError;
use tidewire_ops::OpsError;
use tidewire_server::ServerError;

use crate::output::note;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error("{0}{because}", because = because(.0))]
    Server(ServerError),
    #[error("cannot read {}: {source}; name a file that is there and may be read", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}; name a file that may be written", .path.display())]
    Unwritten { path: PathBuf, source: io::Error },
    #[error("cannot {what}: {source}; {remedy}")]
    System {
        what: &'static str,
        source: io::Error,
        remedy: &'static str,
    },
    /// Something else has to be typed.
    #[error("{0}")]
    Usage(String),
    /// The verb has done its work and found something wrong.
    #[error("{0}")]
    Fault(String),
    /// Nobody reads what is printed.
    #[error("standard output is closed: {0}")]
    Closed(io::Error),
}

/// For what the system refuses when it has too little of something.
pub(crate) const SHORT: &str = "see that it has files, memory and threads left";

impl CliError {
    /// Prints the error as the last word.
    pub(crate) fn report(&self) -> ExitCode {
        if let Self::Closed(_) = self {
            return ExitCode::SUCCESS;
        }
        note(self);
        ExitCode::from(match self {
            Self::Fault(_) => 1,
            Self::Ops(error) if is_fault(error) => 1,
            _ => 2,
        })
    }
}

/// Whether the question was asked and the answer is bad; otherwise it was asked wrongly, or could not be asked.
fn is_fault(error: &OpsError) -> bool {
    matches!(
        error,
        OpsError::Unfit { .. }
            | OpsError::WrongKind { .. }
            | OpsError::KeyMissing { .. }
            | OpsError::KeyGiven { .. }
            | OpsError::Schema { .. }
            | OpsError::Letter(_)
            | OpsError::Publish(_)
            | OpsError::Ask(_)
    )
}

/// The system's own words, which the error leaves to its source.
fn because(error: &ServerError) -> String {
    error
        .source()
        .map(|source| format!(" ({source})"))
        .unwrap_or_default()
}
