//! A bounded number of tasks that work through a queue.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::Notify;

use crate::pool::{Pool, WeakPool};

/// So many jobs that never wait are done before others on the same thread have their turn.
const TURN: usize = 64;

/// Works through jobs in the order in which they came, at most `limit` of them at once.
pub(crate) struct Crew<J> {
    /// Not in what the tasks share: a task that held its own executor would live for ever.
    pool: Pool,
    shared: Arc<Shared<J>>,
}

/// Makes a task that works through a queue, without keeping its pool alive.
type Worker<J> = dyn Fn(Arc<Shared<J>>, WeakPool) -> BoxFuture<'static, ()> + Send + Sync;

struct Shared<J> {
    progress: Arc<AtomicU64>,
    limit: usize,
    /// A task that works through the queue; what one job needs lies in it, and not in a box for each job.
    worker: Box<Worker<J>>,
    state: Mutex<State<J>>,
    /// Rings when as few jobs are left as somebody waits for.
    few: Notify,
}

struct State<J> {
    queue: VecDeque<J>,
    /// Tasks that work, the one that starts included.
    running: usize,
    /// Whether one of the tasks has not taken its first job yet: it starts the next one, so that no more of them start
    /// than find something to do.
    starting: bool,
    /// The most jobs that somebody waits to see left.
    awaited: Option<usize>,
}

impl<J> State<J> {
    /// Jobs that wait or run.
    fn len(&self) -> usize {
        self.queue.len() + self.running - usize::from(self.starting)
    }

    /// The next job; without one the task that asks is no longer counted as running.
    fn take(&mut self) -> Option<J> {
        let job = self.queue.pop_front();
        if job.is_none() {
            self.running -= 1;
        }
        job
    }
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
    pub(crate) fn new<F>(pool: Pool, limit: usize, work: impl Fn(J) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let state = Mutex::new(State {
            queue: VecDeque::new(),
            running: 0,
            starting: false,
            awaited: None,
        });
        let work = Arc::new(work);
        Self {
            shared: Arc::new(Shared {
                progress: pool.progress(),
                limit,
                worker: Box::new(move |shared: Arc<Shared<J>>, pool| {
                    let work = work.clone();
                    shared.work(pool, move |job| work(job)).boxed()
                }),
                state,
                few: Notify::new(),
            }),
            pool,
        }
    }

    /// Hands over a job; it starts at once where fewer than the limit run.
    pub(crate) fn push(&self, job: J) {
        let mut state = self.shared.lock();
        state.queue.push_back(job);
        let start = self.shared.one_more(&mut state);
        drop(state);
        if start {
            self.shared.clone().start(&self.pool);
        }
    }

    /// Jobs that wait or run.
    pub(crate) fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Takes back those of the jobs that have not started.
    pub(crate) fn take_waiting(&self, wanted: impl Fn(&J) -> bool) -> Vec<J> {
        let mut state = self.shared.lock();
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut state.queue).into_iter().partition(wanted);
        state.queue = left;
        drop(state);
        self.shared.few.notify_waiters();
        taken.into()
    }

    /// Returns once at most `most` jobs wait or run.
    pub(crate) async fn at_most(&self, most: usize) {
        loop {
            let few = self.shared.few.notified();
            {
                let mut state = self.shared.lock();
                if state.len() <= most {
                    return;
                }
                state.awaited = state.awaited.max(Some(most));
            }
            few.await;
        }
    }
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another task is to start.
    fn one_more(&self, state: &mut State<J>) -> bool {
        let start = !state.starting && !state.queue.is_empty() && state.running < self.limit;
        if start {
            state.starting = true;
            state.running += 1;
        }
        start
    }
}

impl<J: Send + 'static> Shared<J> {
    fn start(self: Arc<Self>, pool: &Pool) {
        let task = (self.worker)(self.clone(), pool.weak());
        pool.spawn(task);
    }

    /// A task that held its own executor would live for ever.
    async fn work<F: Future<Output = ()>>(self: Arc<Self>, pool: WeakPool, work: impl Fn(J) -> F) {
        let mut job = self.first(&pool);
        let mut done = 0;
        while let Some(next) = job {
            // Handlers are guarded where they are called; this guards the count of what runs against all else.
            if AssertUnwindSafe(work(next)).catch_unwind().await.is_err() {
                tracing::error!(
                    "the handling of a message panicked outside its handler; it is delivered again"
                );
            }
            self.progress.fetch_add(1, Ordering::Relaxed);
            done += 1;
            if done % TURN == 0 {
                others().await;
            }
            job = self.next();
        }
    }

    /// The first job of a task, which starts another task where there is work for it.
    fn first(self: &Arc<Self>, pool: &WeakPool) -> Option<J> {
        let mut state = self.lock();
        state.starting = false;
        let job = state.take();
        let start = job.is_some() && self.one_more(&mut state);
        drop(state);
        if start && let Some(pool) = pool.upgrade() {
            self.clone().start(&pool);
        }
        job
    }

    /// The next job of a task.
    fn next(&self) -> Option<J> {
        let mut state = self.lock();
        let job = state.take();
        let left = state.len();
        let rings = state.awaited.take_if(|most| left <= *most).is_some();
        drop(state);
        if rings {
            self.few.notify_waiters();
        }
        job
    }
}

/// Gives way once to the other tasks of the thread.
async fn others() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
