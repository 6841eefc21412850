//! Ctrl-C and SIGTERM: the first ends the load, the second everything.

use tokio_util::sync::CancellationToken;

use super::error::DemoError;

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
        let mut next = asked_to_end().map_err(|error| DemoError::system("listen to signals", error))?;
        tokio::spawn(async move {
            next.recv().await;
            heard.end.cancel();
            next.recv().await;
            heard.quit.cancel();
        });
        Ok(signals)
    }
}

#[cfg(unix)]
struct Asked([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
fn asked_to_end() -> std::io::Result<Asked> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Asked([
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    ]))
}

#[cfg(unix)]
impl Asked {
    async fn recv(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Asked;

#[cfg(not(unix))]
fn asked_to_end() -> std::io::Result<Asked> {
    Ok(Asked)
}

#[cfg(not(unix))]
impl Asked {
    async fn recv(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
