//! How often each handler came to which end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The attempts of one running instance, by handler and by what came of them; see
/// [`Running::tally`](crate::Running::tally).
pub type Tally = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// What all handlers of an instance count in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<Mutex<Counts>>);

/// By handler, then by class.
type Counts = BTreeMap<Arc<str>, BTreeMap<&'static str, u64>>;

impl Counter {
    pub(crate) fn count(&self, handler: &Arc<str>, class: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts
            .entry(handler.clone())
            .or_default()
            .entry(class)
            .or_default() += 1;
    }

    pub(crate) fn tally(&self) -> Tally {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(handler, classes)| (handler.to_string(), classes.clone()))
            .collect()
    }
}
