//! What the parts of a running service share.

use std::{future::Future, sync::atomic::Ordering, time::Duration};

use async_nats::Client;
use tokio::{
    sync::watch,
    time::{interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{health::Health, pool::Pool, sender::Sender, tally::Counter};

/// How often the count of connections is read; the client has nothing to await.
const LOOK: Duration = Duration::from_millis(250);
/// How often the client is asked whether it lives.
const WATCH: Duration = Duration::from_secs(1);

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
    /// Cancelled when the client has ended for good.
    pub(crate) closed: CancellationToken,
    /// Where handlers count what came of their attempts.
    pub(crate) counter: Counter,
    /// What keeps the service from its work.
    pub(crate) health: Health,
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
        let closed = CancellationToken::new();
        tokio::spawn(watch(sender.client().clone(), closed.clone(), over.clone()));
        let pool = Pool::start(over.clone())?;
        Ok(Self {
            sender,
            pool,
            stop: CancellationToken::new(),
            over,
            tasks: TaskTracker::new(),
            closed,
            counter: Counter::default(),
            health: Health::default(),
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

/// Cancels `closed` when the client has ended for good, which its state does not say: its task panicked, as on a stored
/// header with a bare carriage return, or somebody drained it.
///
/// A flush is answered by that task, and fails as soon as there is none; while the connection is lost it waits.
async fn watch(client: Client, closed: CancellationToken, over: CancellationToken) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            flushed = client.flush() => if let Err(error) = flushed {
                tracing::error!(%error, "the connection to NATS has ended for good");
                return closed.cancel();
            },
        }
        sleep(WATCH).await;
    }
}
