//! What the parts of a running service share.

use std::future::Future;

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{health::Health, pool::Pool, revival, sender::Sender, tally::Counter, unheard::Unheard};

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
    /// Cancelled when the client has ended for good and no other takes its place.
    pub(crate) closed: CancellationToken,
    /// Where handlers count what came of their attempts.
    pub(crate) counter: Counter,
    /// What keeps the service from its work.
    pub(crate) health: Health,
    /// How many connections there were so far, those of clients that have died included.
    pub(crate) connections: watch::Receiver<u64>,
    /// Acks that the server may not have.
    pub(crate) unheard: Unheard,
}

impl Wiring {
    pub(crate) fn start(sender: Sender) -> std::io::Result<Self> {
        let nats = sender.connection();
        let (tell, connections) = watch::channel(nats.living().connects());
        let (closed, over) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(revival::count(nats.clone(), tell, over.clone()));
        tokio::spawn(revival::watch(nats.clone(), closed.clone(), over.clone()));
        let unheard = Unheard::default();
        tokio::spawn(unheard.clone().run(sender.clone(), over.clone()));
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
            unheard,
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
