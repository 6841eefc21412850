//! A bounded number of tasks that work through a queue.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::Notify;

use crate::pool::Pool;

/// Works through jobs in the order in which they came, at most `limit` of them at once.
pub(crate) struct Crew<J> {
    /// Not in what the tasks share: a task that held its own executor would live for ever.
    pool: Pool,
    shared: Arc<Shared<J>>,
}

struct Shared<J> {
    progress: Arc<AtomicU64>,
    limit: usize,
    work: Box<dyn Fn(J) -> BoxFuture<'static, ()> + Send + Sync>,
    state: Mutex<State<J>>,
    /// Rings whenever a job is done.
    done: Notify,
}

struct State<J> {
    queue: VecDeque<J>,
    running: usize,
}

impl<J> Clone for Crew<J> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<J> fmt::Debug for Crew<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew")
            .field("limit", &self.shared.limit)
            .finish_non_exhaustive()
    }
}

impl<J: Send + 'static> Crew<J> {
    pub(crate) fn new(
        pool: Pool,
        limit: usize,
        work: impl Fn(J) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let state = Mutex::new(State {
            queue: VecDeque::new(),
            running: 0,
        });
        Self {
            shared: Arc::new(Shared {
                progress: pool.progress(),
                limit,
                work: Box::new(work),
                state,
                done: Notify::new(),
            }),
            pool,
        }
    }

    /// Hands over a job; it starts at once where fewer than the limit run.
    pub(crate) fn push(&self, job: J) {
        let mut state = self.shared.lock();
        state.queue.push_back(job);
        if state.running < self.shared.limit {
            state.running += 1;
            drop(state);
            self.pool.spawn(self.shared.clone().work());
        }
    }

    /// Jobs that wait or run.
    pub(crate) fn len(&self) -> usize {
        let state = self.shared.lock();
        state.queue.len() + state.running
    }

    /// Takes back those of the jobs that have not started.
    pub(crate) fn take_waiting(&self, wanted: impl Fn(&J) -> bool) -> Vec<J> {
        let mut state = self.shared.lock();
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut state.queue).into_iter().partition(wanted);
        state.queue = left;
        taken.into()
    }

    /// Returns once at most `most` jobs wait or run.
    pub(crate) async fn at_most(&self, most: usize) {
        loop {
            let done = self.shared.done.notified();
            if self.len() <= most {
                return;
            }
            done.await;
        }
    }
}

impl<J: Send + 'static> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self: Arc<Self>) {
        while let Some(job) = self.next() {
            // Handlers are guarded where they are called; this guards the count of what runs against all else.
            if AssertUnwindSafe((self.work)(job)).catch_unwind().await.is_err() {
                tracing::error!(
                    "the handling of a message panicked outside its handler; it is delivered again"
                );
            }
            self.progress.fetch_add(1, Ordering::Relaxed);
            self.done.notify_waiters();
        }
        self.done.notify_waiters();
    }

    /// The next job; without one this task is no longer counted as running.
    fn next(&self) -> Option<J> {
        let mut state = self.lock();
        let job = state.queue.pop_front();
        if job.is_none() {
            state.running -= 1;
        }
        job
    }
}
