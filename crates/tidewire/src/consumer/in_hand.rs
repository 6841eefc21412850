//! The messages that this process holds and has not settled.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::Subject;
use bytes::Bytes;
use slab::Slab;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::sender::Sender;

/// What is in hand: where each message is settled, how long it is surely ours, and how many bytes there are in all.
#[derive(Clone, Debug)]
pub(super) struct InHand(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How long after a sign of life the server delivers a message to somebody else.
    ack_wait: Duration,
    began: Instant,
    state: Mutex<State>,
    /// Rings when as few are in hand as somebody waits for.
    out: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    messages: Slab<Arc<Held>>,
    /// The most messages that somebody waits to see in hand.
    awaited: Option<usize>,
}

/// A message in hand; its times are nanoseconds since `began`, so that neither a handler that begins nor a mark
/// waits for the other.
#[derive(Debug)]
struct Held {
    /// Where it is settled; `None` for one that is parked and nobody else can be given.
    ack: Option<Subject>,
    /// The lease: from then on the server may have given it to somebody else.
    until: AtomicU64,
    /// From then on it is no longer marked: its handler had its time.
    patience: AtomicU64,
}

impl Held {
    /// The server has heard a mark that was made in time. A lease that has run out meanwhile stays so: the server may have
    /// given the message away before it heard.
    fn extend(&self, now: u64, until: u64) {
        if self.until.load(Ordering::Relaxed) > now {
            // A message that came after the mark began has a longer one of its own.
            self.until.fetch_max(until, Ordering::Relaxed);
        }
    }
}

/// As long as it is in hand.
const FOR_EVER: u64 = u64::MAX;

/// One message in hand; it is out of hand when this is dropped.
#[derive(Debug)]
pub(super) struct Grip {
    in_hand: InHand,
    held: Arc<Held>,
    id: usize,
    bytes: usize,
}

impl InHand {
    pub(super) fn new(ack_wait: Duration) -> Self {
        Self(Arc::new(Shared {
            ack_wait,
            began: Instant::now(),
            state: Mutex::default(),
            out: Notify::new(),
        }))
    }

    /// Takes a message in hand that came at this time: from now on it is marked as in progress.
    pub(super) fn take(&self, ack: Subject, bytes: usize, came: Instant) -> Grip {
        self.hold(Some(ack), bytes, came)
    }

    /// Takes a parked message in hand.
    pub(super) fn take_parked(&self, bytes: usize) -> Grip {
        self.hold(None, bytes, Instant::now())
    }

    fn hold(&self, ack: Option<Subject>, bytes: usize, came: Instant) -> Grip {
        let held = Arc::new(Held {
            ack,
            until: AtomicU64::new(self.nanos(came + self.0.ack_wait)),
            patience: AtomicU64::new(FOR_EVER),
        });
        let mut state = self.lock();
        state.bytes += bytes;
        let id = state.messages.insert(held.clone());
        drop(state);
        Grip {
            in_hand: self.clone(),
            held,
            id,
            bytes,
        }
    }

    /// A time as the messages keep it.
    fn nanos(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.0.began).as_nanos();
        u64::try_from(since).unwrap_or(FOR_EVER - 1)
    }

    /// Lets go of what is settled at a subject with this part: its stream was deleted and made again under its name, and
    /// its numbers are those of other messages now. Nothing more is said of it.
    pub(super) fn void(&self, part: &str) {
        for (_, held) in &self.lock().messages {
            if held.ack.as_ref().is_some_and(|ack| ack.contains(part)) {
                held.until.store(0, Ordering::Relaxed);
            }
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
            let out = self.0.out.notified();
            {
                let mut state = self.lock();
                if state.messages.len() <= most {
                    return;
                }
                state.awaited = state.awaited.max(Some(most));
            }
            out.await;
        }
    }

    /// Tells the server three times within the ack wait that each message is still being worked on, whether it runs
    /// or waits for its turn. On the connection's side, so that no handler can stop it. A lease grows only once the
    /// server has surely heard.
    pub(super) async fn mark(self, sender: Sender, stop: CancellationToken) {
        let mut tick = interval(self.0.ack_wait / 3);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let began = Instant::now();
            let all: Vec<_> = self.lock().messages.iter().map(|(id, _)| id).collect();
            let mut marked = Vec::with_capacity(all.len());
            for id in all {
                // Settled meanwhile: a mark after its nak would replace the nak's delay.
                let Some((held, ack)) = self.to_mark(id, began) else {
                    continue;
                };
                if let Err(error) = sender.client().publish(ack, Bytes::from_static(b"+WPI")).await {
                    tracing::warn!(%error, "a message could not be marked as in progress");
                } else {
                    marked.push(held);
                }
            }
            if !marked.is_empty() && sender.round_trip().await.is_ok() {
                let (now, until) = (self.nanos(Instant::now()), self.nanos(began + self.0.ack_wait));
                for held in marked {
                    held.extend(now, until);
                }
            }
        }
    }

    /// A message and where it is marked, if it is to be: a lease that has run out is nobody's to extend.
    fn to_mark(&self, id: usize, now: Instant) -> Option<(Arc<Held>, Subject)> {
        let held = self.lock().messages.get(id)?.clone();
        let now = self.nanos(now);
        let marked = held.until.load(Ordering::Relaxed) > now && held.patience.load(Ordering::Relaxed) > now;
        let ack = held.ack.clone().filter(|_| marked)?;
        Some((held, ack))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grip {
    /// Whether the message is surely ours still.
    ///
    /// Between this look and the server's receipt of what follows the process may stand still; that window is as long
    /// as the operating system makes it.
    pub(super) fn holds(&self, now: Instant) -> bool {
        let until = self.held.until.load(Ordering::Relaxed);
        self.held.ack.is_none() || until > self.in_hand.nanos(now)
    }

    /// How long it is surely ours.
    pub(super) fn until(&self) -> Instant {
        self.in_hand.0.began + Duration::from_nanos(self.held.until.load(Ordering::Relaxed))
    }

    /// Marks it as in progress until then and no more; without a time for as long as it is in hand.
    pub(super) fn patience(&self, until: Option<Instant>) {
        let until = until.map_or(FOR_EVER, |until| self.in_hand.nanos(until));
        self.held.patience.store(until, Ordering::Relaxed);
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        let mut state = self.in_hand.lock();
        state.messages.remove(self.id);
        state.bytes -= self.bytes;
        let left = state.messages.len();
        let rings = state.awaited.take_if(|most| left <= *most).is_some();
        drop(state);
        if rings {
            self.in_hand.0.out.notify_waiters();
        }
    }
}

/// Whether the process stood still: what waits in the subscription may be somebody else's by now.
pub(super) fn stood_still(awake_at: Instant, now: Instant, ack_wait: Duration) -> bool {
    let stood_still = now.duration_since(awake_at);
    let long = stood_still > ack_wait / 2;
    if long {
        tracing::warn!(?stood_still, "what came meanwhile is left to come again");
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(lease: u64, now: u64, marked: u64) -> u64 {
        let held = Held {
            ack: None,
            until: AtomicU64::new(lease),
            patience: AtomicU64::new(FOR_EVER),
        };
        held.extend(now, marked);
        held.until.load(Ordering::Relaxed)
    }

    #[test]
    fn a_lease_grows_while_it_lasts_and_does_not_come_back() {
        assert_eq!(until(30, 20, 40), 40);
        assert_eq!(until(30, 30, 59), 30);
        assert_eq!(until(30, 31, 59), 30);
        // Of a message that came later than the mark.
        assert_eq!(until(52, 31, 39), 52);
    }
}
