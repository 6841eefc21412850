//! Waiting for enough events, or long enough.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidewire_core::Failure;
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};

use super::{Gather, cut_off};

/// Where the events of one handler meet.
pub(super) struct Gathering<E> {
    gather: Gather,
    /// The batch that gathers now; none where the last one is full.
    open: Mutex<Option<Arc<Gathered<E>>>>,
}

/// A batch.
struct Gathered<E> {
    entries: Mutex<Vec<Entry<E>>>,
    full: Notify,
}

struct Entry<E> {
    event: E,
    tell: oneshot::Sender<Result<(), Failure>>,
}

/// What an event comes to.
pub(super) enum Turn<E> {
    /// It was first: whoever brought it handles all of these, and tells the others behind the first.
    Handle(Vec<E>, Vec<oneshot::Sender<Result<(), Failure>>>),
    /// Another one handled it.
    Heard(Result<(), Failure>),
}

impl<E> Turn<E> {
    pub(super) fn alone(event: E) -> Self {
        Self::Handle(vec![event], Vec::new())
    }
}

impl<E> Gathering<E> {
    pub(super) fn new(gather: Gather) -> Self {
        Self {
            gather,
            open: Mutex::default(),
        }
    }

    /// Brings an event, and returns when its batch is ready to be handled or was handled.
    pub(super) async fn join(&self, event: E) -> Turn<E> {
        let (tell, heard) = oneshot::channel();
        let (batch, first) = self.enter(Entry { event, tell });
        if !first {
            drop(batch);
            return Turn::Heard(heard.await.unwrap_or_else(|_| Err(cut_off())));
        }
        let leading = Leading {
            gathering: self,
            batch,
        };
        tokio::select! {
            () = leading.batch.full.notified() => {}
            () = sleep(self.gather.within) => {}
        }
        leading.close();
        let entries = std::mem::take(&mut *lock(&leading.batch.entries));
        let (events, tellers): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|entry| (entry.event, entry.tell)).unzip();
        // The first is our own.
        Turn::Handle(events, tellers.into_iter().skip(1).collect())
    }

    /// Puts an event into the open batch; `true` where it is the first of its batch.
    fn enter(&self, entry: Entry<E>) -> (Arc<Gathered<E>>, bool) {
        let mut open = lock(&self.open);
        let batch = open.get_or_insert_with(|| {
            Arc::new(Gathered {
                entries: Mutex::default(),
                full: Notify::new(),
            })
        });
        let batch = batch.clone();
        let count = {
            let mut entries = lock(&batch.entries);
            entries.push(entry);
            entries.len()
        };
        if count >= self.gather.most {
            *open = None;
            batch.full.notify_one();
        }
        (batch, count == 1)
    }
}

/// The first of a batch. Dropped before it is handled, it takes the batch with it, and the others hear of it.
struct Leading<'a, E> {
    gathering: &'a Gathering<E>,
    batch: Arc<Gathered<E>>,
}

impl<E> Leading<'_, E> {
    /// Nobody joins any more.
    fn close(&self) {
        let mut open = lock(&self.gathering.open);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &self.batch)) {
            *open = None;
        }
    }
}

impl<E> Drop for Leading<'_, E> {
    fn drop(&mut self) {
        self.close();
        lock(&self.batch.entries).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
