//! The messages that this process holds and has not settled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::Subject;
use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::sender::Sender;

/// What is in hand: where each message is settled, how long it is surely ours, and how many bytes there are in all.
#[derive(Clone, Debug)]
pub(super) struct InHand {
    /// How long after a sign of life the server delivers a message to somebody else.
    ack_wait: Duration,
    state: Arc<Mutex<State>>,
    /// Rings whenever a message is out of hand.
    out: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    messages: HashMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    /// Where it is settled; `None` for one that is parked and nobody else can be given.
    ack: Option<Subject>,
    /// The lease: from then on the server may have given it to somebody else.
    until: Instant,
    /// From then on it is no longer marked: its handler had its time.
    patience: Option<Instant>,
}

/// One message in hand; it is out of hand when this is dropped.
#[derive(Debug)]
pub(super) struct Grip {
    in_hand: InHand,
    id: u64,
    bytes: usize,
}

impl InHand {
    pub(super) fn new(ack_wait: Duration) -> Self {
        Self {
            ack_wait,
            state: Arc::default(),
            out: Arc::default(),
        }
    }

    /// Takes a message in hand: from now on it is marked as in progress.
    pub(super) fn take(&self, ack: Subject, bytes: usize) -> Grip {
        self.hold(Some(ack), bytes)
    }

    /// Takes a parked message in hand.
    pub(super) fn take_parked(&self, bytes: usize) -> Grip {
        self.hold(None, bytes)
    }

    fn hold(&self, ack: Option<Subject>, bytes: usize) -> Grip {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.bytes += bytes;
        let held = Held {
            ack,
            until: Instant::now() + self.ack_wait,
            patience: None,
        };
        state.messages.insert(id, held);
        Grip {
            in_hand: self.clone(),
            id,
            bytes,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    pub(super) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Returns once at most `most` messages are in hand.
    pub(super) async fn at_most(&self, most: usize) {
        loop {
            let out = self.out.notified();
            if self.len() <= most {
                return;
            }
            out.await;
        }
    }

    /// Tells the server three times within the ack wait that each message is still being worked on, whether it runs
    /// or waits for its turn. On the connection's side, so that no handler can stop it. A lease grows only once the
    /// server has surely heard.
    pub(super) async fn mark(self, sender: Sender, stop: CancellationToken) {
        let mut tick = interval(self.ack_wait / 3);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let began = Instant::now();
            let ids: Vec<_> = self.lock().messages.keys().copied().collect();
            let mut marked = Vec::with_capacity(ids.len());
            for id in ids {
                // Settled meanwhile: a mark after its nak would replace the nak's delay.
                let Some(ack) = self.to_mark(id, began) else {
                    continue;
                };
                if let Err(error) = sender.client().publish(ack, Bytes::from_static(b"+WPI")).await {
                    tracing::warn!(%error, "a message could not be marked as in progress");
                } else {
                    marked.push(id);
                }
            }
            if !marked.is_empty() && sender.round_trip().await.is_ok() {
                self.extend(&marked, began + self.ack_wait);
            }
        }
    }

    /// Where a message is marked, if it is to be: a lease that has run out is nobody's to extend.
    fn to_mark(&self, id: u64, now: Instant) -> Option<Subject> {
        let state = self.lock();
        let held = state.messages.get(&id)?;
        let marked = held.until > now && held.patience.is_none_or(|until| until > now);
        marked.then(|| held.ack.clone()).flatten()
    }

    fn extend(&self, ids: &[u64], until: Instant) {
        let mut state = self.lock();
        for id in ids {
            if let Some(held) = state.messages.get_mut(id) {
                held.until = until;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grip {
    /// Whether the message is surely ours still.
    ///
    /// Between this look and the server's receipt of what follows the process may stand still; that window is as long
    /// as the operating system makes it.
    pub(super) fn holds(&self) -> bool {
        let state = self.in_hand.lock();
        let held = state.messages.get(&self.id);
        held.is_some_and(|held| held.ack.is_none() || held.until > Instant::now())
    }

    /// How long it is surely ours.
    pub(super) fn until(&self) -> Option<Instant> {
        let state = self.in_hand.lock();
        state.messages.get(&self.id).map(|held| held.until)
    }

    /// Marks it as in progress for this much longer and then no more; without a time for as long as it is in hand.
    pub(super) fn patience(&self, time: Option<Duration>) {
        if let Some(held) = self.in_hand.lock().messages.get_mut(&self.id) {
            held.patience = time.and_then(|time| Instant::now().checked_add(time));
        }
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        let mut state = self.in_hand.lock();
        state.messages.remove(&self.id);
        state.bytes -= self.bytes;
        drop(state);
        self.in_hand.out.notify_waiters();
    }
}
