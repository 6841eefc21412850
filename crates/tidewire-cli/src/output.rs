//! What the verbs print: the one place that writes to standard output, and escapes what a message may hold.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

use crate::{error::CliError, escape, pretty::pretty};

/// Standard output. Whoever reads it may go away, which ends the verb.
#[derive(Debug)]
pub(crate) struct Output(io::Stdout);

impl Output {
    pub(crate) fn new() -> Self {
        Self(io::stdout())
    }

    /// A line.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), CliError> {
        self.text(&escape::line(&text.to_string()))
    }

    /// JSON over several lines.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.text(&escape::json(&pretty(&written(value)?)))
    }

    /// JSON on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.text(&escape::json(&written(value)?))
    }

    /// Begins a picture in the place of the one before: a terminal is cleared, and elsewhere a line is left empty.
    pub(crate) fn redraw(&self) -> Result<(), CliError> {
        let mut out = self.0.lock();
        let clear = if out.is_terminal() { "\x1b[H\x1b[2J" } else { "\n" };
        write!(out, "{clear}").map_err(CliError::Closed)
    }

    /// Text that no message has a part in.
    pub(crate) fn text(&self, text: &str) -> Result<(), CliError> {
        let mut out = self.0.lock();
        writeln!(out, "{}", text.trim_end_matches('\n'))
            .and_then(|()| out.flush())
            .map_err(CliError::Closed)
    }
}

/// Says something beside the result, on standard error.
pub(crate) fn note(text: impl Display) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "tidewire: {}", escape::lines(&text.to_string()));
}

fn written(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(value)
        .map_err(|error| CliError::Fault(format!("this cannot be written as JSON: {error}")))
}
