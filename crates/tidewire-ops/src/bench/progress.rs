//! How far a workload has come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{BenchError, Measured, Workload};

/// How long the next message is awaited.
const NEXT_WITHIN: Duration = Duration::from_secs(20);
/// How often is looked whether there was one.
const LOOK: Duration = Duration::from_secs(1);

/// Counts messages where they are handled, and tells of the last one.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    expected: u64,
    seen: AtomicU64,
    /// When the first and the last one came.
    times: [watch::Sender<Option<Instant>>; 2],
    /// Rings now and then, for who waits until some were seen.
    some: Notify,
}

impl Progress {
    /// Of so many messages.
    pub fn of(expected: u64) -> Self {
        Self(Arc::new(Inner {
            expected,
            seen: AtomicU64::new(0),
            times: [watch::Sender::new(None), watch::Sender::new(None)],
            some: Notify::new(),
        }))
    }

    /// Another one was handled.
    pub fn count(&self) {
        let seen = self.0.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen == 1 {
            self.0.times[0].send_replace(Some(Instant::now()));
        }
        if seen == self.0.expected {
            self.0.times[1].send_replace(Some(Instant::now()));
        }
        if seen.is_multiple_of(1024) || seen == self.0.expected {
            self.0.some.notify_one();
        }
    }

    /// How many were handled.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }

    /// Returns once at most `most` of the first `sent` are not handled yet.
    pub async fn at_most(&self, sent: u64, most: u64) {
        while sent.saturating_sub(self.seen()) > most {
            self.0.some.notified().await;
        }
    }

    /// Waits for the last one.
    ///
    /// # Errors
    /// [`BenchError::Unfinished`] where none comes for twenty seconds.
    pub async fn finished(&self, workload: Workload) -> Result<Measured, BenchError> {
        let mut last = self.0.times[1].subscribe();
        let (mut before, mut since) = (self.seen(), Instant::now());
        loop {
            let Ok(Ok(ended)) = timeout(LOOK, last.wait_for(Option::is_some)).await else {
                let seen = self.seen();
                if seen > before {
                    (before, since) = (seen, Instant::now());
                } else if since.elapsed() >= NEXT_WITHIN {
                    return Err(BenchError::Unfinished {
                        workload,
                        seen,
                        expected: self.0.expected,
                        within: NEXT_WITHIN,
                    });
                }
                continue;
            };
            let began = *self.0.times[0].borrow();
            let took = ended.zip(began).map(|(ended, began)| ended - began);
            return Ok(Measured::together(self.0.expected, took.unwrap_or_default()));
        }
    }
}
