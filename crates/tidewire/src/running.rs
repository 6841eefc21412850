//! A service that runs.

use std::{future::Future, time::Duration};

use tidewire_core::{BoxError, Manifest};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use crate::{bus::Bus, start_error::StartError, wiring::Wiring};

/// A service that runs until it is stopped, or dropped: then it takes no more work, and nobody waits for the rest.
#[derive(Debug)]
pub struct Running {
    wiring: Wiring,
    bus: Bus,
    manifest: Manifest,
    grace: Duration,
    _dropped: [DropGuard; 2],
}

/// A service that could not finish in time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// Handlers still ran when the grace period was over; their messages are delivered again.
    #[error("handlers still ran after {grace:?}; give them longer with `.grace(…)`, or make them shorter")]
    Unfinished {
        /// The grace period.
        grace: Duration,
    },
    /// The server did not confirm the last acks; those messages may be delivered again.
    #[error("the server did not confirm the last acks: {0}")]
    Unconfirmed(#[source] BoxError),
}

/// A service that did not run to a good end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not finish.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// The process cannot hear signals.
    #[error("signals cannot be heard: {0}")]
    Signal(#[from] std::io::Error),
}

impl Running {
    pub(crate) fn new(wiring: Wiring, bus: Bus, manifest: Manifest, grace: Duration) -> Self {
        let dropped = [wiring.stop.clone().drop_guard(), wiring.over.clone().drop_guard()];
        Self {
            wiring,
            bus,
            manifest,
            grace,
            _dropped: dropped,
        }
    }

    /// The way to publish and ask from outside handlers.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// What the service declared.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Takes no more work, gives back what has not begun, finishes what has, and returns once the server has every
    /// ack.
    ///
    /// # Errors
    /// [`StopError`] where handlers outlast the grace period or the server does not answer. Nothing is lost: what was
    /// not acked is delivered again.
    pub async fn stop(self) -> Result<(), StopError> {
        self.wiring.stop.cancel();
        self.wiring.tasks.close();
        let tasks = self.wiring.tasks.clone();
        let finished = timeout(self.grace, tasks.wait()).await;
        self.wiring.over.cancel();
        let confirmed = self.wiring.sender.round_trip().await;
        if finished.is_err() {
            return Err(StopError::Unfinished { grace: self.grace });
        }
        confirmed.map_err(StopError::Unconfirmed)
    }
}

/// Listens for SIGTERM and Ctrl-C from now on; what comes back returns when the process is asked to end.
#[cfg(unix)]
pub(crate) fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens for Ctrl-C from now on; what comes back returns when the process is asked to end.
#[cfg(not(unix))]
pub(crate) fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
