//! The loop that keeps a handler supplied.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::{self, Context as JetStream},
};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    declare::{ConsumerSpec, declare},
    in_hand::InHand,
    pull::{Demand, Pull},
    settle::Job,
};
use crate::{crew::Crew, headers::header, route::Route, wiring::Wiring};

/// How many bytes of messages a handler may hold.
const BUDGET: usize = 16 << 20;
/// Room for headers, subjects and the ack subject beside a payload of the largest size.
const OVERHEAD: usize = 66 << 10;
/// A request lives this long on the server.
const EXPIRES: Duration = Duration::from_secs(30);
/// An idle server gives a sign of life this often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Two signs of life were missed.
const SILENCE: Duration = Duration::from_millis(10_500);
/// What a handler is taken to need before the first was measured.
const FIRST_GUESS: Duration = Duration::from_millis(500);
/// Between two looks at a consumer that does not answer or refuses.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a settled subscription is awaited at the end.
const UNSUBSCRIBED_WITHIN: Duration = Duration::from_secs(2);

/// Pulls from one consumer for one handler, within limits of count and bytes.
#[derive(Debug)]
pub(crate) struct Puller {
    wiring: Wiring,
    js: JetStream,
    spec: ConsumerSpec,
    crew: Crew<Job>,
    in_hand: InHand,
    demand: Demand,
    /// No request before this: the last one was refused for a reason that asking again does not change.
    not_before: Instant,
    /// How long the handler took lately, in nanoseconds: a moving average.
    typical: Arc<AtomicU64>,
}

/// Why a subscription is left.
enum Left {
    Stopped,
    /// The consumer is gone, or nobody answers for it.
    Lost(String),
}

impl Puller {
    pub(crate) fn new(wiring: &Wiring, js: &JetStream, spec: ConsumerSpec, route: Route) -> Self {
        let in_hand = InHand::default();
        let sender = wiring.sender.clone();
        let typical = Arc::new(AtomicU64::new(
            u64::try_from(FIRST_GUESS.as_nanos()).unwrap_or(u64::MAX),
        ));
        let concurrency = route.concurrency;
        let route = Arc::new(route);
        let measured = typical.clone();
        let crew = Crew::new(wiring.pool.clone(), concurrency, move |job: Job| {
            let (route, sender, measured) = (route.clone(), sender.clone(), measured.clone());
            async move {
                let began = Instant::now();
                job.work(&route, &sender).await;
                average(&measured, began.elapsed());
            }
            .boxed()
        });
        let largest = wiring.sender.client().max_payload() + OVERHEAD;
        Self {
            wiring: wiring.clone(),
            js: js.clone(),
            spec,
            crew,
            in_hand,
            demand: Demand::new(concurrency, BUDGET, largest),
            typical,
            not_before: Instant::now(),
        }
    }

    /// Pulls until the service stops; then gives back what has not begun and waits for what has.
    pub(crate) async fn run(mut self) {
        // Not one of the service's tasks: marks go out until the last message in hand is settled.
        let marking = self.wiring.over.child_token();
        tokio::spawn(
            self.in_hand
                .clone()
                .mark(self.wiring.sender.client().clone(), marking.clone()),
        );
        loop {
            let left = match self.subscribe().await {
                Ok((inbox, mut messages)) => {
                    let left = self.pull(&inbox, &mut messages).await;
                    self.unsubscribe(messages).await;
                    left
                }
                Err(error) => Left::Lost(error.to_string()),
            };
            let Left::Lost(reason) = left else { break };
            let ConsumerSpec { stream, name, .. } = &self.spec;
            tracing::error!(%stream, consumer = %name, %reason, "the consumer does not answer; looking for it");
            tokio::select! {
                () = self.wiring.stop.cancelled() => break,
                () = sleep(PAUSE) => {}
            }
            // Made again where it is gone: at its declared start, because its place is gone with it.
            if let Err(error) = declare(&self.js, &self.spec).await {
                tracing::error!(%stream, consumer = %name, %error, "the consumer cannot be made");
            }
        }
        self.give_back().await;
        self.crew.at_most(0).await;
        marking.cancel();
    }

    async fn subscribe(&self) -> Result<(String, Subscriber), async_nats::SubscribeError> {
        let client = self.wiring.sender.client();
        let inbox = client.new_inbox();
        Ok((inbox.clone(), client.subscribe(inbox).await?))
    }

    async fn pull(&mut self, inbox: &str, messages: &mut Subscriber) -> Left {
        self.demand.reset();
        let mut connections = self.wiring.connections.clone();
        connections.mark_unchanged();
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let typical = Duration::from_nanos(self.typical.load(Ordering::Relaxed));
            let now = Instant::now();
            if now >= self.not_before
                && let Some(pull) = self.demand.next(self.crew.len(), self.in_hand.bytes(), typical)
                && let Err(error) = self.ask(inbox, pull).await
            {
                return Left::Lost(error.to_string());
            }
            let crew = self.crew.clone();
            let held = self.crew.len();
            tokio::select! {
                biased;
                () = self.wiring.stop.cancelled() => return Left::Stopped,
                message = messages.next() => {
                    silent_at = Instant::now() + SILENCE;
                    let Some(message) = message else {
                        return Left::Lost("the subscription ended".into());
                    };
                    if let Some(left) = self.receive(message) {
                        return left;
                    }
                    // Whatever has come already, before asking again.
                    while let Some(Some(message)) = messages.next().now_or_never() {
                        if let Some(left) = self.receive(message) {
                            return left;
                        }
                    }
                }
                // The server forgets requests with the connection on which they came.
                _ = connections.changed() => self.demand.reset(),
                () = sleep_until(silent_at) => {
                    silent_at = Instant::now() + SILENCE;
                    self.demand.reset();
                }
                () = crew.at_most(held / 2), if held > 0 => {}
                () = sleep_until(self.not_before), if self.not_before > now => {}
            }
        }
    }

    async fn ask(&self, inbox: &str, pull: Pull) -> Result<(), async_nats::PublishError> {
        let subject = format!(
            "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
            self.spec.stream, self.spec.name
        );
        let request = json!({
            "batch": pull.batch,
            "max_bytes": pull.max_bytes,
            "expires": EXPIRES.as_nanos(),
            "idle_heartbeat": HEARTBEAT.as_nanos(),
        });
        self.wiring
            .sender
            .client()
            .publish_with_reply(subject, inbox.to_owned(), request.to_string().into())
            .await
    }

    /// Takes in a message, or what the server says instead of one.
    fn receive(&mut self, message: Message) -> Option<Left> {
        let Some(status) = message.status else {
            self.take(message);
            return None;
        };
        match (status, message.description.as_deref().unwrap_or_default()) {
            (StatusCode::IDLE_HEARTBEAT, _) => {}
            (StatusCode::NO_RESPONDERS, _) => return Some(Left::Lost("nobody answers for it".into())),
            (_, "Consumer Deleted") => return Some(Left::Lost("it was deleted".into())),
            _ => {
                let unanswered = |name| {
                    message
                        .headers
                        .as_ref()
                        .and_then(|headers| header(headers, name)?.parse::<usize>().ok())
                };
                if let Some(messages) = unanswered("Nats-Pending-Messages") {
                    self.demand
                        .ended(messages, unanswered("Nats-Pending-Bytes").unwrap_or(0));
                } else {
                    let (consumer, reason) = (&self.spec.name, message.description.as_deref());
                    tracing::warn!(%consumer, ?status, reason, "a request for messages was refused");
                    self.demand.reset();
                    self.not_before = Instant::now() + PAUSE;
                }
            }
        }
        None
    }

    fn take(&mut self, message: Message) {
        let bytes = message.length;
        self.demand.came(bytes);
        tracing::trace!(target: "tidewire::walk", "pulled");
        let Some(ack) = message.reply.clone() else {
            tracing::warn!(subject = %message.subject, "a message without an ack subject is none of the stream's");
            return;
        };
        let wrapped = jetstream::Message {
            message,
            context: self.js.clone(),
        };
        let attempt = wrapped
            .info()
            .map_or(1, |info| u32::try_from(info.delivered).unwrap_or(1));
        let grip = self.in_hand.take(ack.clone(), bytes);
        tracing::trace!(target: "tidewire::walk", "in hand");
        self.crew.push(Job {
            message: wrapped.message,
            ack,
            attempt,
            grip,
        });
    }

    /// Ends the subscription, and gives back what was already on its way.
    async fn unsubscribe(&mut self, mut messages: Subscriber) {
        if messages.drain().await.is_err() {
            return;
        }
        let rest = async {
            while let Some(message) = messages.next().await {
                if message.status.is_none() {
                    self.take(message);
                }
            }
        };
        drop(timeout(UNSUBSCRIBED_WITHIN, rest).await);
    }

    async fn give_back(&self) {
        for job in self.crew.take_waiting() {
            job.give_back(self.wiring.sender.client()).await;
        }
    }
}

/// Moves the average an eighth of the way.
fn average(typical: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let before = typical.load(Ordering::Relaxed);
    typical.store(before - before / 8 + took / 8, Ordering::Relaxed);
}
