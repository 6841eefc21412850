//! How often each handler came to which end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tidewire_core::Outcome;

/// The attempts of one running instance, by handler and by what came of them; see
/// [`Running::tally`](crate::Running::tally).
pub type Tally = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// What all handlers of an instance count in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<Mutex<BTreeMap<Arc<str>, Arc<Ends>>>>);

/// How often one handler came to which end, in the order of [`Outcome::CLASSES`].
#[derive(Debug, Default)]
pub(crate) struct Ends([AtomicU64; Outcome::CLASSES.len()]);

impl Counter {
    /// Where one handler counts: no lock is between it and its figures.
    pub(crate) fn of(&self, handler: &Arc<str>) -> Arc<Ends> {
        let mut handlers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handlers.entry(handler.clone()).or_default().clone()
    }

    pub(crate) fn tally(&self) -> Tally {
        let handlers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = handlers.iter().map(|(handler, ends)| {
            let counts = Outcome::CLASSES.into_iter().zip(&ends.0);
            let counts = counts.map(|(class, count)| (class, count.load(Ordering::Relaxed)));
            let ends: BTreeMap<_, _> = counts.filter(|(_, count)| *count > 0).collect();
            (handler.to_string(), ends)
        });
        counted.filter(|(_, ends)| !ends.is_empty()).collect()
    }
}

impl Ends {
    /// Counts an end by its place in [`Outcome::CLASSES`].
    pub(crate) fn count(&self, class: usize) {
        if let Some(count) = self.0.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
