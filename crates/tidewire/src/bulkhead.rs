//! A limit that several handlers share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At most so many messages at once, among all durables of this process that share it: ten connections to a database
/// are ten, however many handlers want one.
///
/// ```
/// use tidewire::Bulkhead;
///
/// let database = Bulkhead::new(10);
/// // .on(durable("charge", charge).bulkhead(&database))
/// // .on(durable("refund", refund).bulkhead(&database))
/// # drop(database);
/// ```
#[derive(Clone, Debug)]
pub struct Bulkhead {
    permits: Arc<Semaphore>,
    limit: usize,
}

impl Bulkhead {
    /// At most `limit` at once, at least 1.
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    /// How many at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Waits for a place; it is free again when what comes back is dropped. `None` never comes: nobody closes it.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().acquire_owned().await.ok()
    }
}
