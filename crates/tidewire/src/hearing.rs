//! Subscriptions that outlive the client they were made on.

use std::{future::poll_fn, task::Poll};

use async_nats::{Message, SubscribeError, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use crate::{connection::Connection, wiring::Wiring};

/// A subject that is heard, and the group that shares what comes there.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) subject: String,
    pub(crate) queue_group: Option<String>,
}

/// What a part of a service hears on core NATS. A client that has died takes its subscriptions with it: they are made
/// again through the next one, and what was sent meanwhile is not heard.
#[derive(Debug)]
pub(crate) struct Hearing {
    nats: Connection,
    subjects: Vec<Heard>,
    now: Vec<Subscriber>,
    /// Whose turn it is among them.
    turn: usize,
    /// Changes when there may be a new client; seen up to the moment of subscribing.
    connections: watch::Receiver<u64>,
    /// The server was asked to send no more.
    drained: bool,
}

impl Hearing {
    pub(crate) async fn begin(wiring: &Wiring, subjects: Vec<Heard>) -> Result<Self, SubscribeError> {
        let mut hearing = Self {
            nats: wiring.sender.connection().clone(),
            subjects,
            now: Vec::new(),
            turn: 0,
            connections: wiring.connections.clone(),
            drained: false,
        };
        hearing.subscribe().await?;
        Ok(hearing)
    }

    async fn subscribe(&mut self) -> Result<(), SubscribeError> {
        self.connections.mark_unchanged();
        let client = self.nats.client();
        let mut subscriptions = Vec::new();
        for Heard { subject, queue_group } in self.subjects.clone() {
            subscriptions.push(match queue_group {
                Some(group) => client.queue_subscribe(subject, group).await?,
                None => client.subscribe(subject).await?,
            });
        }
        self.now = subscriptions;
        Ok(())
    }

    /// The next message, through whichever client; `None` when all have come after [`Hearing::drain`]. Nothing is lost
    /// where the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.of_any().await {
                return Some(message);
            }
            if self.drained {
                return None;
            }
            if self.connections.changed().await.is_err() {
                // Nobody counts connections any more: the service is over.
                return None;
            }
            // Where this client has died as well, another one comes.
            if let Err(error) = self.subscribe().await {
                tracing::debug!(%error, "not heard yet");
            }
        }
    }

    /// A message that has come already.
    pub(crate) fn come(&mut self) -> Option<Message> {
        self.of_any().now_or_never().flatten()
    }

    /// The next message of any subscription; `None` when all have ended.
    async fn of_any(&mut self) -> Option<Message> {
        poll_fn(|cx| {
            let mut left = self.now.len();
            while left > 0 {
                self.turn = (self.turn + 1) % self.now.len();
                match self.now[self.turn].poll_next_unpin(cx) {
                    Poll::Ready(Some(message)) => return Poll::Ready(Some(message)),
                    Poll::Ready(None) => {
                        self.now.swap_remove(self.turn);
                        // Another one is in its place, or none.
                        self.turn = 0;
                        left = self.now.len();
                    }
                    Poll::Pending => left -= 1,
                }
            }
            if self.now.is_empty() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Asks the server to send nothing more; what it has sent already comes before the end.
    pub(crate) async fn drain(&mut self) {
        self.drained = true;
        for subscription in &mut self.now {
            drop(subscription.drain().await);
        }
    }
}
