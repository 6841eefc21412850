//! The messages that this process holds and has not settled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::Subject;
use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::declare::ACK_WAIT;
use crate::connection::Connection;

/// What is in hand: where each message is settled, and how many bytes there are in all.
#[derive(Clone, Debug, Default)]
pub(super) struct InHand {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    messages: HashMap<u64, Subject>,
}

/// One message in hand; it is out of hand when this is dropped.
#[derive(Debug)]
pub(super) struct Grip {
    in_hand: InHand,
    id: u64,
    bytes: usize,
}

impl InHand {
    /// Takes a message in hand: from now on it is marked as in progress.
    pub(super) fn take(&self, ack: Subject, bytes: usize) -> Grip {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.bytes += bytes;
        state.messages.insert(id, ack);
        Grip {
            in_hand: self.clone(),
            id,
            bytes,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Tells the server three times within the ack wait that each message is still being worked on, whether it runs
    /// or waits for its turn. On the connection's side, so that no handler can stop it.
    pub(super) async fn mark(self, nats: Connection, stop: CancellationToken) {
        let mut tick = interval(ACK_WAIT / 3);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let held: Vec<_> = self.lock().messages.keys().copied().collect();
            for id in held {
                // Settled meanwhile: a mark after its nak would replace the nak's delay.
                let Some(ack) = self.lock().messages.get(&id).cloned() else {
                    continue;
                };
                if let Err(error) = nats.client().publish(ack, Bytes::from_static(b"+WPI")).await {
                    tracing::warn!(%error, "a message could not be marked as in progress");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        let mut state = self.in_hand.lock();
        state.messages.remove(&self.id);
        state.bytes -= self.bytes;
    }
}
