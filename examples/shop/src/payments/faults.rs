//! What is wrong with the gateway.

use std::{future::pending, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::GatewayError;

/// What is wrong with the gateway today.
///
/// It is the value of the key `faults` in the bucket `SHOP_GATEWAY`, read at each call, so that whoever writes it changes
/// the gateway while everything runs: `nats kv put SHOP_GATEWAY faults '{"down": true}'`. What is left out is as on any
/// other day, by [`Default`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Nobody answers at its door.
    pub down: bool,
    /// The share of calls, from 0 to 1, that it answers with an error.
    pub errors: f64,
    /// The share of calls for which it takes its time.
    pub slow: f64,
    /// The share of calls that it never answers.
    pub hangs: f64,
    /// A bug in its new version: it does not understand card numbers with a blank.
    pub blanks: bool,
    /// A bug in our client for it: it panics at card numbers with fewer than four digits.
    pub short: bool,
}

/// How long a slow call takes.
const SLOW: Duration = Duration::from_millis(300);

/// An ordinary day: one error in ten calls, some slow ones, and no bugs.
impl Default for Faults {
    fn default() -> Self {
        Self {
            errors: 0.1,
            slow: 0.05,
            hangs: 0.01,
            ..Self::none()
        }
    }
}

impl Faults {
    /// A day that no gateway ever had.
    pub fn none() -> Self {
        Self {
            down: false,
            errors: 0.0,
            slow: 0.0,
            hangs: 0.0,
            blanks: false,
            short: false,
        }
    }

    /// An ordinary day with both bugs.
    pub fn bugs() -> Self {
        Self {
            blanks: true,
            short: true,
            ..Self::default()
        }
    }

    /// What befalls one call.
    pub(super) async fn befall(&self) -> Result<(), GatewayError> {
        let happens = |share: f64| fastrand::f64() < share;
        if happens(self.errors) {
            return Err(GatewayError::Internal);
        }
        if happens(self.slow) {
            sleep(SLOW).await;
        }
        if happens(self.hangs) {
            pending::<()>().await;
        }
        Ok(())
    }
}
