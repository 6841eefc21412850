//! What keeps a running service from doing its work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The causes, by name; empty where all is well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<BTreeMap<String, String>>>);

impl Health {
    /// Something is wrong; an error is logged when it begins.
    pub(crate) fn ails(&self, cause: &str, what: impl Into<String>) {
        let what = what.into();
        let before = self.lock().insert(cause.to_owned(), what.clone());
        if before.is_none() {
            tracing::error!(cause, "{what}");
        }
    }

    /// It is well again.
    pub(crate) fn recovers(&self, cause: &str) {
        if self.lock().remove(cause).is_some() {
            tracing::info!(cause, "well again");
        }
    }

    pub(crate) fn causes(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
