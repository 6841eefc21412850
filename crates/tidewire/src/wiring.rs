//! What the parts of a running service share.

use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;
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
    pub(crate) fn start(sender: Sender, health: Health) -> std::io::Result<Self> {
        let nats = sender.connection();
        let (tell, connections) = watch::channel(nats.living().connects());
        let (closed, over) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(revival::count(nats.clone(), tell, over.clone()));
        tokio::spawn(revival::watch(
            nats.clone(),
            closed.clone(),
            health.clone(),
            over.clone(),
        ));
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
            health,
            connections,
            unheard,
        })
    }

    /// Runs a part of the service; the service has stopped when all parts have ended.
    pub(crate) fn spawn(&self, part: impl Future<Output = ()> + Send + 'static) {
        let (over, health) = (self.over.clone(), self.health.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = unless_it_panics(part, &health) => {}
                () = over.cancelled() => {}
            }
        });
    }
}

/// A part that panics does not come back: what it did is done by nobody until the process starts anew.
async fn unless_it_panics(part: impl Future<Output = ()>, health: &Health) {
    if AssertUnwindSafe(part).catch_unwind().await.is_err() {
        let text = "a part of the service has panicked, which is a fault of Tidewire; restart the process, and report it \
                    with the text of the panic";
        health.dies("panicked", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_told_of() {
        let health = Health::default();
        unless_it_panics(async {}, &health).await;
        assert!(health.report().fatal.is_empty());
        unless_it_panics(async { panic!("a fault") }, &health).await;
        assert!(health.report().fatal.contains_key("panicked"));
    }
}
