//! A new client in the place of one that has died.
//!
//! A header that async-nats cannot take panics the task that reads it (a bare carriage return in a value does), and the
//! client is dead although its state says that it is connected.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{Connection, End},
    health::Health,
    running::ConnectionClosed,
};

/// How often the count of connections is read; the client has nothing to await.
const LOOK: Duration = Duration::from_millis(250);
/// The pause before a second try; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A client that lived as long is no part of a series of deaths.
const WELL_AFTER: Duration = Duration::from_secs(20);

/// The name by which a service whose client has died is not ready.
const CLIENT: &str = "client";

/// Says on `tell` how many connections there were, over all clients, until the service is over.
pub(crate) async fn count(nats: Connection, tell: watch::Sender<u64>, over: CancellationToken) {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut generation = nats.living().generation;
    loop {
        let renewed = async {
            match nats.after(generation).await {
                Some(next) => next.generation,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over.cancelled() => return,
            next = renewed => generation = next,
            _ = tick.tick() => {}
        }
        let now = nats.living().connects();
        tell.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}

/// Replaces the client whenever it has died, for as long as the service runs; cancels `closed` where it cannot, or where
/// somebody has drained the client, which says that all shall end.
pub(crate) async fn watch(
    nats: Connection,
    closed: CancellationToken,
    health: Health,
    over: CancellationToken,
) {
    let mut pause = Duration::ZERO;
    loop {
        let began = Instant::now();
        let (generation, end) = tokio::select! {
            () = over.cancelled() => return,
            ended = nats.ended() => ended,
        };
        if end == End::ForGood {
            health.dies(CLIENT, ConnectionClosed.to_string());
            return closed.cancel();
        }
        health.ails(
            CLIENT,
            "the client's task has died, most likely on a message with malformed headers; a new client is made. One \
             that a stream holds goes to the dead letters; one on another subject is gone",
        );
        // A series of poisons must not become a storm of connections.
        if began.elapsed() > WELL_AFTER {
            pause = Duration::ZERO;
        }
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            match nats.revive(generation).await {
                Ok(()) => {
                    health.recovers(CLIENT);
                    break;
                }
                Err(error) => tracing::warn!(%error, "the new client could not connect; trying again"),
            }
        }
    }
}
