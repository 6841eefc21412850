//! The time in which one instance is the active one of a durable.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    baton::{Baton, Place, Progress, Took},
    parking::Parked,
};

/// The time in which this instance alone reads the consumers of a durable. It begins and ends with nothing in hand:
/// whatever breaks the order of deliveries ends it, and the next one begins where the last message was settled.
#[derive(Debug)]
pub(in crate::consumer) struct Term {
    /// Cancelled when nothing more is to begin.
    ended: CancellationToken,
    state: Mutex<State>,
    /// Rings when the record of the lease is to be written at once.
    urge: Notify,
    /// How many of the [changes](State::changes) the record of the lease knows.
    written: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// The lease: from then on another instance may be the active one.
    until: Instant,
    /// What the last active instance told, of consumers that were not read in this term yet.
    told: BTreeMap<String, Place>,
    progress: BTreeMap<String, Progress>,
    /// How often a consumer began to be read, or a message was done: what the next active instance must know.
    changes: u64,
}

/// The part of a message in the order of its durable.
#[derive(Clone, Debug)]
pub(in crate::consumer) struct Seat {
    pub(in crate::consumer) term: Arc<Term>,
    /// What its key, or else its name, is as a token of a subject.
    pub(in crate::consumer) lane: Arc<str>,
    /// Where it is parked; `None` where it comes from its own stream.
    pub(in crate::consumer) parked: Option<Parked>,
}

impl Term {
    pub(super) fn new(stop: &CancellationToken, until: Instant, baton: Baton) -> Arc<Self> {
        Arc::new(Self {
            ended: stop.child_token(),
            state: Mutex::new(State {
                until,
                told: baton.streams,
                progress: BTreeMap::new(),
                changes: 0,
            }),
            urge: Notify::new(),
            written: watch::Sender::new(0),
        })
    }

    pub(in crate::consumer) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    pub(in crate::consumer) fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Begins nothing more.
    pub(in crate::consumer) fn end(&self, why: &str) {
        if !self.ended.is_cancelled() {
            tracing::info!(why, "the order of deliveries is broken; they begin anew");
            self.ended.cancel();
        }
    }

    /// Whether no other instance is the active one yet: without it nothing runs and nothing is settled.
    pub(in crate::consumer) fn holds(&self) -> bool {
        self.lock().until > Instant::now()
    }

    pub(super) fn until(&self) -> Instant {
        self.lock().until
    }

    pub(super) fn extend(&self, until: Instant) {
        self.lock().until = until;
    }

    /// Another instance is the active one.
    pub(super) fn lose(&self) {
        self.lock().until = Instant::now();
        self.end("another instance is the active one, or the lease could not be renewed");
    }

    /// Whether anything was told of the consumer on `stream` that was made at the time `consumer`.
    pub(in crate::consumer) fn knows(&self, stream: &str, consumer: &str) -> bool {
        let told = self.lock().told.get(stream).cloned();
        told.is_some_and(|place| place.is_of(consumer))
    }

    /// The consumer on `stream` is read; it was made at the time `consumer`, and has delivered so far as is said,
    /// of which all up to `floor` is acknowledged.
    pub(in crate::consumer) fn begin(&self, stream: &str, consumer: String, delivered: u64, floor: u64) {
        let mut state = self.lock();
        let told = state.told.remove(stream);
        let progress = Progress::begin(told, consumer, delivered, floor);
        state.progress.insert(stream.to_owned(), progress);
        state.changes += 1;
    }

    /// Waits until the record of the lease knows the consumers that are read so far, and the messages that are done;
    /// `false` where the term is over before. Nothing is pulled earlier: the next active instance must know that they are
    /// its own to reset.
    pub(in crate::consumer) async fn told(&self) -> bool {
        let changes = self.lock().changes;
        let mut written = self.written.subscribe();
        if *written.borrow_and_update() >= changes {
            return true;
        }
        self.urge.notify_one();
        tokio::select! {
            () = self.ended.cancelled() => false,
            known = written.wait_for(|known| *known >= changes) => known.is_ok(),
        }
    }

    /// Returns when the record of the lease is to be written at once.
    pub(super) async fn urged(&self) {
        self.urge.notified().await;
    }

    /// A record with so many changes is written.
    pub(super) fn wrote(&self, changes: u64) {
        self.written.send_replace(changes);
    }

    pub(in crate::consumer) fn took(&self, stream: &str, sequence: u64) -> Took {
        let mut state = self.lock();
        let progress = state.progress.entry(stream.to_owned()).or_default();
        progress.took(sequence)
    }

    /// The message is done, and its stream was told.
    pub(in crate::consumer) fn settled(&self, stream: &str, sequence: u64) {
        let mut state = self.lock();
        if let Some(progress) = state.progress.get_mut(stream) {
            progress.settled(sequence);
            state.changes += 1;
        }
    }

    /// What the next active instance has to know, and how many changes of this term are in it.
    pub(super) fn baton(&self, holder: Option<String>) -> (Baton, u64) {
        let state = self.lock();
        let mut streams = state.told.clone();
        for (stream, progress) in &state.progress {
            streams.insert(stream.clone(), progress.place());
        }
        (Baton { holder, streams }, state.changes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_done_is_told_once_a_record_knows_it() {
        let until = Instant::now() + Duration::from_secs(60);
        let term = Term::new(&CancellationToken::new(), until, Baton::default());
        let told = || term.told().now_or_never();
        assert_eq!(told(), Some(true));
        term.begin("ORDERS", "then".into(), 0, 0);
        assert_eq!(told(), None);
        let (_, begun) = term.baton(None);
        term.wrote(begun);
        assert_eq!(told(), Some(true));
        term.took("ORDERS", 1);
        term.settled("ORDERS", 1);
        // One that was on its way when the message was done does not know it.
        term.wrote(begun);
        assert_eq!(told(), None);
        term.wrote(term.baton(None).1);
        assert_eq!(told(), Some(true));
        term.settled("ORDERS", 1);
        term.end("of the test");
        assert_eq!(told(), Some(false));
    }
}
