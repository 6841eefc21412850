//! The client that a connection has now, and the next one when it has ended for good.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{Client, Event};
use tokio::{
    sync::{Mutex, watch},
    time::sleep,
};

use super::{Connect, ConnectError, Refusals, replies::Replies};

/// How often a client that was handed in is asked whether it lives.
const WATCH: Duration = Duration::from_secs(1);

/// The client of a connection.
#[derive(Debug)]
pub(super) struct Current {
    now: watch::Sender<Living>,
    /// How the client was made; `None` where it was handed in, and cannot be made anew.
    connect: Option<Connect>,
    /// Held while a client is made: every service on the connection sees the death, and one of them acts.
    making: Mutex<()>,
}

/// One client, from its first connection to its end.
#[derive(Clone, Debug)]
pub(crate) struct Living {
    pub(crate) client: Client,
    /// What it is answered.
    pub(crate) replies: Replies,
    /// How many clients the connection had before.
    pub(crate) generation: u64,
    /// How many connections those clients had.
    earlier: u64,
    /// Closed when the client's tasks have ended; `None` where nobody tells.
    life: Option<watch::Receiver<Life>>,
}

/// What a client's events say of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing yet. Where the client's tasks have ended all the same, its connection task has panicked.
    Unended,
    /// Somebody drained the client.
    Drained,
}

/// How a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its task died, and a new client can take its place.
    Died,
    /// Somebody drained it, or how it was made is not known.
    ForGood,
}

/// Tells of a client's end: its drop does, which comes with the end of the client's tasks, however they end.
#[derive(Debug)]
pub(super) struct Tell(watch::Sender<Life>);

impl Tell {
    pub(super) fn new() -> (Self, watch::Receiver<Life>) {
        let (tell, life) = watch::channel(Life::Unended);
        (Self(tell), life)
    }

    pub(super) fn hear(&self, event: &Event) {
        if matches!(event, Event::Draining | Event::Closed) {
            self.0.send_replace(Life::Drained);
        }
    }
}

impl Living {
    /// How many connections there were, those of earlier clients included.
    pub(crate) fn connects(&self) -> u64 {
        self.earlier + self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Waits for the client's end. Its state does not tell: after a panic it goes on saying that it is connected.
    pub(crate) async fn ended(mut self) -> End {
        let Some(life) = &mut self.life else {
            // A flush is answered by the client's task, and fails as soon as there is none; while the connection is
            // lost it waits.
            while self.client.flush().await.is_ok() {
                sleep(WATCH).await;
            }
            return End::ForGood;
        };
        while life.changed().await.is_ok() {}
        match *life.borrow() {
            Life::Unended => End::Died,
            Life::Drained => End::ForGood,
        }
    }
}

impl Current {
    pub(super) fn new(
        client: Client,
        connect: Option<Connect>,
        life: Option<watch::Receiver<Life>>,
        refusals: &Refusals,
    ) -> Arc<Self> {
        let first = Living {
            replies: Replies::new(client.clone(), refusals.clone()),
            client,
            generation: 0,
            earlier: 0,
            life,
        };
        Arc::new(Self {
            now: watch::Sender::new(first),
            connect,
            making: Mutex::default(),
        })
    }

    pub(super) fn now(&self) -> Living {
        self.now.borrow().clone()
    }

    pub(super) fn replies(&self) -> Replies {
        self.now.borrow().replies.clone()
    }

    pub(super) fn max_payload(&self) -> usize {
        self.now.borrow().client.max_payload()
    }

    pub(super) fn connect(&self) -> Option<&Connect> {
        self.connect.as_ref()
    }

    /// Waits until the client of now has ended; says which one it was.
    pub(super) async fn ended(&self) -> (u64, End) {
        let now = self.now();
        (now.generation, now.ended().await)
    }

    /// The client after that of `generation`, once there is one; at once `None` where there never will be.
    pub(super) async fn after(&self, generation: u64) -> Option<Living> {
        self.connect.as_ref()?;
        let mut now = self.now.subscribe();
        let next = now.wait_for(|living| living.generation > generation).await;
        next.ok().map(|living| living.clone())
    }

    /// Puts a new client in the place of that of `generation`, unless somebody has done so already.
    pub(super) async fn revive(&self, generation: u64, refusals: &Refusals) -> Result<(), ConnectError> {
        let Some(connect) = &self.connect else {
            return Ok(());
        };
        let _making = self.making.lock().await;
        let before = self.now();
        if before.generation == generation {
            let (client, life) = connect.client(refusals).await?;
            self.now.send_replace(Living {
                earlier: before.connects(),
                generation: generation + 1,
                replies: Replies::new(client.clone(), refusals.clone()),
                client,
                life: Some(life),
            });
        }
        Ok(())
    }
}
