//! A service that runs.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, time::Duration};

use tidewire_core::{BoxError, Manifest};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use crate::{bus::Bus, monitor::Monitor, start_error::StartError, tally::Tally, wiring::Wiring};

/// How long the acks that are said may take on their way into the client.
const SAID_WITHIN: Duration = Duration::from_secs(5);

/// A service that runs until it is stopped, or dropped: then it takes no more work, and nobody waits for the rest.
#[derive(Debug)]
pub struct Running {
    wiring: Wiring,
    bus: Bus,
    manifest: Manifest,
    grace: Duration,
    /// Listens until the last ack is confirmed.
    monitor: Option<Monitor>,
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

/// The client has ended for good: nothing comes and goes through it any more, although its state may say that it is
/// connected. Somebody drained it, or it is a plain [`async_nats::Client`] that a malformed header has killed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the connection to NATS has ended for good; restart the process. If nobody drained the client, a message with a \
     malformed header (a bare carriage return in its value) has killed it: connect by `tidewire::Connect`, which makes the \
     client anew and puts such a message into the dead letters"
)]
#[non_exhaustive]
pub struct ConnectionClosed;

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
    /// The client has ended for good and does not come back.
    #[error(transparent)]
    ConnectionClosed(#[from] ConnectionClosed),
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
            monitor: None,
            _dropped: dropped,
        }
    }

    /// The service has started; `monitor` listens as long as it runs.
    pub(crate) fn monitored(self, monitor: Option<Monitor>) -> Self {
        self.wiring.health.starts();
        Self { monitor, ..self }
    }

    /// The way to publish and ask from outside handlers.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// How often each handler of this instance came to which end since it started: `handled`, `declined`, `failed`,
    /// `unavailable`, `rejected`, `panicked`, `timed_out`, `malformed`, `invalid`, `incompatible`, `too_large` or `corrupt`. Handlers are called as their
    /// consumers are, `<service>__<name>`.
    pub fn tally(&self) -> Tally {
        self.wiring.counter.tally()
    }

    /// What keeps the service from doing its work, each cause by its name: empty where it is ready.
    ///
    /// - `connection`: it is lost; `client`: the client has died, and a new one is made
    /// - `jetstream`: there is none any more
    /// - `stream-<stream>`: a stream that the declaration needs is gone, does not capture what the service sends, does
    ///   not answer, or may not be looked at
    /// - `consumer-<stream>-<consumer>`: a stream cannot be read, or this user may not read it
    /// - `permission-<message>`: this user may not send what the declaration says; forgotten half a minute after the last
    ///   try
    /// - `subscription-<subject>`: this user may not hear what the declaration says
    /// - `dead-letters`: what cannot be handled cannot be stored either and stays where it is
    /// - `parking-<durable>`: a durable that is ordered by key cannot begin
    /// - `panicked`: a part of the service has ended
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        self.wiring.health.causes()
    }

    /// What is held back while the service is ready: `breaker-<name>`, which is not closed; `paused-<durable>`;
    /// `full-<durable>`, of which so many messages wait for another attempt that the server gives it no more; and
    /// `parking-<durable>`, of which a key waits that cannot be parked or read. A durable that is full, and a pause that was
    /// not made by `tidewire pause`, are seen within a minute.
    pub fn degraded(&self) -> BTreeMap<String, String> {
        self.wiring.health.degraded()
    }

    /// Where [`Service::monitor`](crate::Service::monitor) listens; `None` without it.
    pub fn monitor_address(&self) -> Option<SocketAddr> {
        self.monitor.as_ref().map(Monitor::address)
    }

    /// What the service declared.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Waits until the client has ended for good, which happens to a client that was drained, and to a plain
    /// [`async_nats::Client`] that a malformed header has killed. One that [`Connect`](crate::Connect) made is made anew
    /// after such a death, and a connection that is only lost comes back by itself. It is noticed within two seconds.
    ///
    /// [`Service::run`](crate::Service::run) ends then. Who runs a service by hand awaits this beside all else, and
    /// restarts the process.
    pub async fn connection_closed(&self) -> ConnectionClosed {
        self.wiring.closed.cancelled().await;
        ConnectionClosed
    }

    /// Runs until `asked_to_end`, or until there is no connection any more.
    pub(crate) async fn until(self, asked_to_end: impl Future<Output = ()>) -> Result<(), RunError> {
        let closed = tokio::select! {
            () = asked_to_end => None,
            closed = self.connection_closed() => Some(closed),
        };
        let stopped = self.stop().await;
        match closed {
            // What ran has had its time to finish; that its ack did not arrive follows from this.
            Some(closed) => Err(closed.into()),
            None => Ok(stopped?),
        }
    }

    /// Takes no more work, gives back what has not begun, finishes what has, and returns once the server has every
    /// ack; at the latest ten seconds after the grace period.
    ///
    /// # Errors
    /// [`StopError`] where handlers outlast the grace period or the server does not answer. Nothing is lost: what was
    /// not acked is delivered again.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.wiring.health.stops();
        self.wiring.stop.cancel();
        self.wiring.tasks.close();
        let tasks = self.wiring.tasks.clone();
        let finished = timeout(self.grace, tasks.wait()).await;
        // Where the client takes nothing any more, the round trip below says so.
        let said = self.wiring.unheard.flush(&self.wiring.sender);
        drop(timeout(SAID_WITHIN, said).await);
        self.wiring.over.cancel();
        let confirmed = self.wiring.sender.round_trip().await;
        if let Some(monitor) = self.monitor.take() {
            monitor.close().await;
        }
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
