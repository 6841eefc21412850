//! A foreign program: one JSON object in, one out.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// How long one program may run; each takes less than two seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// How many lines of its errors are shown.
const SHOWN: usize = 20;

/// Programs of one language, with one client.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// What the client is called.
    pub(crate) client: &'static str,
    pub(crate) interpreter: PathBuf,
    /// Of the files of its programs.
    pub(crate) extension: &'static str,
    pub(crate) folder: PathBuf,
    /// The largest whole number that the language carries in JSON.
    pub(crate) largest: u64,
}

/// A program that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("{file} could not be run: {source}")]
    Io { file: String, source: std::io::Error },
    #[error("{file} was not done after {LIMIT:?}")]
    TooLong { file: String },
    #[error("{file} ended with {status}:\n{errors}")]
    Failed {
        file: String,
        status: std::process::ExitStatus,
        errors: String,
    },
    #[error("{file} did not print JSON: {source}: {printed}")]
    NotJson {
        file: String,
        source: serde_json::Error,
        printed: String,
    },
}

impl Foreign {
    /// Runs the program `name` with `input`, and gives back what it saw.
    pub(crate) async fn run(&self, name: &str, input: &Value) -> Result<Value, ProgramError> {
        let file = format!("{name}.{}", self.extension);
        let io = |source| ProgramError::Io {
            file: file.clone(),
            source,
        };
        let mut program = Command::new(&self.interpreter);
        program
            .arg(self.folder.join(&file))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = program.spawn().map_err(io)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read says why on standard error.
            let _ = stdin.write_all(input.to_string().as_bytes()).await;
        }
        let ended = timeout(LIMIT, child.wait_with_output()).await;
        let output = ended
            .map_err(|_| ProgramError::TooLong { file: file.clone() })?
            .map_err(io)?;
        if !output.status.success() {
            return Err(ProgramError::Failed {
                status: output.status,
                errors: last_lines(&output.stderr),
                file,
            });
        }
        serde_json::from_slice(&output.stdout).map_err(|source| ProgramError::NotJson {
            printed: last_lines(&output.stdout),
            source,
            file,
        })
    }
}

pub(crate) fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}
