//! Threads that run handlers, apart from the user's runtime.
//!
//! A handler is somebody's code: it may block its thread for a minute. So no handler runs where messages are pulled and
//! marked as in progress, and where every thread of the pool is stuck, another one joins it.

use std::{
    future::Future,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use async_executor::Executor;
use tokio::{runtime::Handle, time};
use tokio_util::sync::CancellationToken;

/// How long no thread may take up new work before another thread joins.
const STUCK: Duration = Duration::from_millis(50);
/// How long a thread that joined stays: while the pool is stuck others follow it.
const EXTRA: Duration = Duration::from_secs(10);
/// The most threads that join; tokio bounds its blocking threads likewise.
const MOST_EXTRA: usize = 512;

/// A set of threads that grows while all of them are blocked.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

/// The same for those who must not keep it alive.
#[derive(Clone, Debug)]
pub(crate) struct WeakPool(Weak<Inner>);

impl WeakPool {
    /// The pool, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<Pool> {
        Some(Pool {
            inner: self.0.upgrade()?,
        })
    }
}

#[derive(Debug)]
struct Inner {
    executor: Executor<'static>,
    /// Ends the threads; what they run is dropped at its next await.
    over: CancellationToken,
    runtime: Handle,
    extra: AtomicUsize,
    /// Grows with whatever is done: a pool that is merely busy is not stuck.
    progress: Arc<AtomicU64>,
}

impl Pool {
    /// Starts one thread for each processor, and the watch over them on the current runtime. They end when `over` is
    /// cancelled; a blocked one ends when it returns.
    pub(crate) fn start(over: CancellationToken) -> std::io::Result<Self> {
        let pool = Self {
            inner: Arc::new(Inner {
                executor: Executor::new(),
                over,
                runtime: Handle::current(),
                extra: AtomicUsize::new(0),
                progress: Arc::default(),
            }),
        };
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            pool.add_thread(None)?;
        }
        tokio::spawn(pool.clone().watch());
        Ok(pool)
    }

    /// Runs `task` on one of the threads, to its end or until the pool stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.executor.spawn(task).detach();
    }

    /// The pool, for its own tasks.
    pub(crate) fn weak(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.inner))
    }

    /// What to count up whenever something is done.
    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        self.inner.progress.clone()
    }

    fn add_thread(&self, stay: Option<Duration>) -> std::io::Result<()> {
        let inner = self.inner.clone();
        let name = if stay.is_some() {
            "tidewire-extra"
        } else {
            "tidewire-handlers"
        };
        thread::Builder::new().name(name.into()).spawn(move || {
            let over = inner.over.clone();
            let leave = async move {
                match stay {
                    // Ends by itself, so that a pool that was stuck once is not large for ever.
                    Some(stay) => drop(time::timeout(stay, over.cancelled()).await),
                    None => over.cancelled().await,
                }
            };
            inner.runtime.block_on(inner.executor.run(leave));
            if stay.is_some() {
                inner.extra.fetch_sub(1, Ordering::Relaxed);
            }
        })?;
        Ok(())
    }

    /// Asks the pool for a sign of life again and again; without one in time, a thread joins.
    async fn watch(self) {
        let alive = Arc::new(AtomicBool::new(true));
        let mut before = 0;
        while !self.inner.over.is_cancelled() {
            let progress = self.inner.progress.load(Ordering::Relaxed);
            let progressed = std::mem::replace(&mut before, progress) != progress;
            if alive.swap(false, Ordering::Relaxed) {
                let alive = alive.clone();
                self.spawn(async move { alive.store(true, Ordering::Relaxed) });
            } else if !progressed && self.inner.extra.load(Ordering::Relaxed) < MOST_EXTRA {
                self.inner.extra.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = self.add_thread(Some(EXTRA)) {
                    self.inner.extra.fetch_sub(1, Ordering::Relaxed);
                    tracing::error!(%error, "every handler thread is blocked and no other can be started");
                } else {
                    tracing::warn!("every handler thread is blocked; another one joins");
                }
            }
            time::sleep(STUCK).await;
        }
    }
}
