//! What our handlers saw.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How long a handler may take to see what was sent; it takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Notes of all handlers, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(&'static str, Value)>>>);

/// Handlers that did not see what was sent.
#[derive(Debug, thiserror::Error)]
#[error("`{handler}` saw {found} messages where {wanted} were sent, after {SOON:?}: {notes}")]
pub(crate) struct NotSeen {
    handler: &'static str,
    wanted: usize,
    found: usize,
    notes: Value,
}

impl Seen {
    pub(crate) fn note(&self, handler: &'static str, what: Value) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push((handler, what));
    }

    /// What `handler` saw.
    pub(crate) fn by(&self, handler: &str) -> Vec<Value> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = notes.iter().filter(|(by, _)| *by == handler);
        own.map(|(_, what)| what.clone()).collect()
    }

    /// What `handler` saw once it has seen so much, in the order of `member`: handlers run at the same time.
    pub(crate) async fn sorted(
        &self,
        handler: &'static str,
        wanted: usize,
        member: &str,
    ) -> Result<Vec<Value>, NotSeen> {
        let deadline = Instant::now() + SOON;
        loop {
            let notes = self.by(handler);
            if notes.len() >= wanted {
                return Ok(sorted(notes, member));
            }
            if Instant::now() > deadline {
                return Err(NotSeen {
                    handler,
                    wanted,
                    found: notes.len(),
                    notes: notes.into(),
                });
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Objects in the order of one of their members.
pub(crate) fn sorted(mut objects: Vec<Value>, member: &str) -> Vec<Value> {
    objects.sort_by_key(|object| object[member].to_string());
    objects
}
