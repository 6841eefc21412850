//! Subscriptions that outlive the client they were made on.

use std::{
    collections::BTreeMap,
    future::{pending, poll_fn},
    task::Poll,
    time::Duration,
};

use async_nats::{Message, SubscribeError, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    connection::{Connection, Operation, Refusal, RefusalsHeard},
    health::Health,
    wiring::Wiring,
};

/// After a subscription was refused: somebody may grant it meanwhile.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long a refusal may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// A subject that is heard, and the group that shares what comes there.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) subject: String,
    pub(crate) queue_group: Option<String>,
}

/// What a part of a service hears on core NATS. A client that has died takes its subscriptions with it: they are made
/// again through the next one, and what was sent meanwhile is not heard. So is one that the server has refused, again and
/// again until it is granted.
#[derive(Debug)]
pub(crate) struct Hearing {
    nats: Connection,
    subjects: Vec<Heard>,
    now: Vec<Subscribed>,
    /// Whose turn it is among them.
    turn: usize,
    /// Changes when there may be a new client; seen up to the moment of subscribing.
    connections: watch::Receiver<u64>,
    /// The server was asked to send no more.
    drained: bool,
    refusals: RefusalsHeard,
    /// The subjects that this user may not hear, by their places, and what is next.
    refused: BTreeMap<usize, Next>,
    /// The service is not well without what it hears.
    needed: bool,
    health: Health,
}

/// A subscription, and the place of its subject.
#[derive(Debug)]
struct Subscribed {
    place: usize,
    subscriber: Subscriber,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    /// It is tried again at this time.
    Try(Instant),
    /// It was, and is well if no refusal comes before this time.
    Well(Instant),
}

impl Hearing {
    pub(crate) async fn begin(wiring: &Wiring, subjects: Vec<Heard>) -> Result<Self, SubscribeError> {
        let nats = wiring.sender.connection().clone();
        let mut hearing = Self {
            refusals: nats.refusals().heard(),
            nats,
            subjects,
            now: Vec::new(),
            turn: 0,
            connections: wiring.connections.clone(),
            drained: false,
            refused: BTreeMap::new(),
            needed: true,
            health: wiring.health.clone(),
        };
        hearing.subscribe().await?;
        Ok(hearing)
    }

    /// Does without what its user may not hear, until there is another connection.
    pub(crate) fn done_without(self) -> Self {
        Self {
            needed: false,
            ..self
        }
    }

    async fn subscribe(&mut self) -> Result<(), SubscribeError> {
        self.connections.mark_unchanged();
        let mut subscriptions = Vec::new();
        for place in 0..self.subjects.len() {
            subscriptions.push(self.subscription(place).await?);
        }
        self.now = subscriptions;
        Ok(())
    }

    async fn subscription(&self, place: usize) -> Result<Subscribed, SubscribeError> {
        let client = self.nats.client();
        let Heard { subject, queue_group } = self.subjects[place].clone();
        let subscriber = match queue_group {
            Some(group) => client.queue_subscribe(subject, group).await?,
            None => client.subscribe(subject).await?,
        };
        Ok(Subscribed { place, subscriber })
    }

    /// The next message, through whichever client; `None` when all have come after [`Hearing::drain`]. Nothing is lost
    /// where the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if self.now.is_empty() && self.drained {
                return None;
            }
            let due = self.refused.values().map(|next| next.at()).min();
            let subjects = &self.subjects;
            let concerns = |refusal: &Refusal| place_of(subjects, refusal).is_some();
            tokio::select! {
                biased;
                refusal = self.refusals.next(concerns) => self.refuse(&refusal),
                message = of_any(&mut self.now, &mut self.turn), if !self.now.is_empty() => {
                    if message.is_some() {
                        return message;
                    }
                }
                () = at(due) => self.go_on().await,
                changed = self.connections.changed(), if self.now.is_empty() => {
                    if changed.is_err() {
                        // Nobody counts connections any more: the service is over.
                        return None;
                    }
                    // Where this client has died as well, another one comes.
                    if let Err(error) = self.subscribe().await {
                        tracing::debug!(%error, "not heard yet");
                    }
                }
            }
        }
    }

    /// A message that has come already.
    pub(crate) fn come(&mut self) -> Option<Message> {
        of_any(&mut self.now, &mut self.turn).now_or_never().flatten()
    }

    /// Forgets a subscription that the server does not serve: it would be made a second time beside the next one.
    fn refuse(&mut self, refusal: &Refusal) {
        let Some(place) = place_of(&self.subjects, refusal) else {
            return;
        };
        self.now.retain(|subscribed| subscribed.place != place);
        if !self.needed {
            return;
        }
        self.refused
            .insert(place, Next::Try(Instant::now() + AGAIN_AFTER));
        let text = format!("nothing is heard there: {refusal}");
        self.health.ails(&self.cause(place), text);
    }

    /// Does what is due for the subjects that were refused.
    async fn go_on(&mut self) {
        let now = Instant::now();
        let due = self.refused.iter().find(|(_, next)| next.at() <= now);
        match due.map(|(place, next)| (*place, *next)) {
            Some((place, Next::Try(_))) => {
                let next = match self.subscription(place).await {
                    Ok(subscribed) => {
                        self.now.push(subscribed);
                        Next::Well(now + REFUSED_WITHIN)
                    }
                    Err(error) => {
                        tracing::debug!(%error, "not heard yet");
                        Next::Try(now + AGAIN_AFTER)
                    }
                };
                self.refused.insert(place, next);
            }
            Some((place, Next::Well(_))) => {
                self.refused.remove(&place);
                self.health.recovers(&self.cause(place));
            }
            None => {}
        }
    }

    fn cause(&self, place: usize) -> String {
        format!("subscription-{}", self.subjects[place].subject)
    }

    /// Asks the server to send nothing more; what it has sent already comes before the end.
    pub(crate) async fn drain(&mut self) {
        self.drained = true;
        self.refused.clear();
        for subscribed in &mut self.now {
            drop(subscribed.subscriber.drain().await);
        }
    }
}

impl Next {
    fn at(self) -> Instant {
        match self {
            Self::Try(at) | Self::Well(at) => at,
        }
    }
}

/// The next message of any subscription; `None` when all have ended, which are forgotten.
async fn of_any(now: &mut Vec<Subscribed>, turn: &mut usize) -> Option<Message> {
    poll_fn(|cx| {
        let mut left = now.len();
        while left > 0 {
            *turn = (*turn + 1) % now.len();
            match now[*turn].subscriber.poll_next_unpin(cx) {
                Poll::Ready(Some(message)) => return Poll::Ready(Some(message)),
                Poll::Ready(None) => {
                    now.swap_remove(*turn);
                    // Another one is in its place, or none.
                    *turn = 0;
                    left = now.len();
                }
                Poll::Pending => left -= 1,
            }
        }
        if now.is_empty() {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Returns at that time; without one never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

fn place_of(subjects: &[Heard], refusal: &Refusal) -> Option<usize> {
    if refusal.operation != Operation::Subscribe {
        return None;
    }
    subjects.iter().position(|heard| heard.subject == refusal.subject)
}
