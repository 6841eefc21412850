//! Ctrl-C and SIGTERM.

/// Whether somebody asks this process to end, from when it listens.
#[derive(Debug)]
pub(crate) struct Asked(
    #[cfg(unix)] [tokio::signal::unix::Signal; 2],
    // Elsewhere there is nothing to begin with.
    #[cfg(not(unix))] (),
);

#[cfg(unix)]
impl Asked {
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ]))
    }

    /// Returns the next time that somebody asks.
    pub(crate) async fn asked(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Asked {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self(()))
    }

    /// Returns the next time that somebody asks.
    pub(crate) async fn asked(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
