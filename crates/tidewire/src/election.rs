//! Patience while a leader is being elected.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::start_error::StartError;

/// A stream whose leader died has a new one within about seven seconds, on busy machines within twenty; until then nobody
/// answers for it.
const ELECTED_WITHIN: Duration = Duration::from_secs(25);
const PAUSE: Duration = Duration::from_millis(100);

/// How long a call is tried again.
#[derive(Debug)]
pub(crate) struct Patience {
    ends: Instant,
}

impl Patience {
    pub(crate) fn begins() -> Self {
        Self {
            ends: Instant::now() + ELECTED_WITHIN,
        }
    }

    /// Waits a little where JetStream did not answer; gives every other error back, and this one once patience ends.
    pub(crate) async fn with(&self, error: StartError) -> Result<(), StartError> {
        match error {
            StartError::JetStream(error) if Instant::now() < self.ends => {
                tracing::debug!(%error, "JetStream does not answer yet");
                sleep(PAUSE).await;
                Ok(())
            }
            error => Err(error),
        }
    }
}
