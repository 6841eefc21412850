//! What a person sees while a download runs.

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, one line where there is none, nothing where it was not wanted.
pub(super) fn start(wanted: bool, what: &str, length: Option<u64>) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    if !io::stderr().is_terminal() {
        // A standard error that is closed must not stop the download.
        let _ = writeln!(io::stderr(), "tidewire: fetching {what}");
        return ProgressBar::hidden();
    }
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if length.is_some() {
        "{msg} {wide_bar} {bytes}/{total_bytes}"
    } else {
        "{spinner} {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Reads to the end, at most `limit` bytes.
pub(super) fn read_all(source: impl Read, bar: &ProgressBar, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut limited = bar.wrap_read(source.take(limit + 1));
    limited
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it broke off: {error}"))?;
    bar.finish_and_clear();
    if bytes.len() as u64 > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    Ok(bytes)
}
