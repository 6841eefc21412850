//! Ctrl-C and SIGTERM: the first ends the load, the second everything.

use tokio_util::sync::CancellationToken;

use super::error::DemoError;
use crate::signals::Asked;

/// What was asked for from outside.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// Stop placing orders, and come to the end in good order.
    pub(super) end: CancellationToken,
    /// Stop at once.
    pub(super) quit: CancellationToken,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, DemoError> {
        let signals = Self {
            end: CancellationToken::new(),
            quit: CancellationToken::new(),
        };
        let heard = signals.clone();
        let mut next = Asked::listen().map_err(|error| DemoError::system("listen to signals", error))?;
        tokio::spawn(async move {
            next.asked().await;
            heard.end.cancel();
            next.asked().await;
            heard.quit.cancel();
        });
        Ok(signals)
    }
}
