//! What the parts of a running service share.

use std::{future::Future, sync::atomic::Ordering, time::Duration};

use tokio::{sync::watch, time::interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{pool::Pool, sender::Sender};

/// How often the count of connections is read; the client has nothing to await.
const LOOK: Duration = Duration::from_millis(250);

/// The shared parts of one running service.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    pub(crate) sender: Sender,
    /// Where handlers run.
    pub(crate) pool: Pool,
    /// Cancelled when the service takes no more work.
    pub(crate) stop: CancellationToken,
    /// Cancelled when all is done, or the grace period is over: what still runs is left alone.
    pub(crate) over: CancellationToken,
    /// Everything that has to end before the service has stopped.
    pub(crate) tasks: TaskTracker,
    /// How many connections there were so far.
    pub(crate) connections: watch::Receiver<u64>,
}

impl Wiring {
    pub(crate) fn start(sender: Sender) -> std::io::Result<Self> {
        let statistics = sender.client().statistics();
        let count = move || statistics.connects.load(Ordering::Relaxed);
        let (tell, connections) = watch::channel(count());
        let over = CancellationToken::new();
        let stopped = over.clone();
        tokio::spawn(async move {
            let mut tick = interval(LOOK);
            while !stopped.is_cancelled() {
                tick.tick().await;
                let now = count();
                tell.send_if_modified(|before| std::mem::replace(before, now) != now);
            }
        });
        let pool = Pool::start(over.clone())?;
        Ok(Self {
            sender,
            pool,
            stop: CancellationToken::new(),
            over,
            tasks: TaskTracker::new(),
            connections,
        })
    }

    /// Runs a part of the service; the service has stopped when all parts have ended.
    pub(crate) fn spawn(&self, part: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = part => {}
                () = over.cancelled() => {}
            }
        });
    }
}
