//! The flags of a verb that looks again and again.

use std::time::Duration;

use clap::{Args, value_parser};

use crate::{
    error::{CliError, SHORT},
    signals::Asked,
    span::span,
};

// How often; no doc comment, for clap would show it in place of the verb's own.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WatchArgs {
    /// Look again every so many seconds, 1 unless said, until Ctrl-C: --watch, --watch=5 or --watch=500ms
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = span
    )]
    watch: Option<Duration>,
    /// End after N looks
    #[arg(long, value_name = "N", requires = "watch", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl WatchArgs {
    /// The time between two looks; `None` where there is one look.
    pub(crate) fn every(self) -> Option<Duration> {
        self.watch
    }

    /// How many looks there are.
    pub(crate) fn looks(self) -> u64 {
        match (self.watch, self.count) {
            (None, _) => 1,
            (Some(_), count) => count.unwrap_or(u64::MAX),
        }
    }
}

/// Runs `verb` to its end, or until somebody asks this process to end, which is a good end as well: `None`.
pub(crate) async fn until_asked<T>(
    verb: impl Future<Output = Result<T, CliError>>,
) -> Result<Option<T>, CliError> {
    let mut asked = Asked::listen().map_err(|source| CliError::System {
        what: "listen to signals",
        source,
        remedy: SHORT,
    })?;
    tokio::select! {
        ended = verb => ended.map(Some),
        () = asked.asked() => Ok(None),
    }
}
