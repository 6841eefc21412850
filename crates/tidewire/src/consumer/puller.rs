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
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    declare::{ConsumerSpec, declare},
    in_hand::InHand,
    pull::{Demand, Pull},
    settle::Job,
};
use crate::{clock, crew::Crew, delivery::StoredAt, headers::header, route::Route, wiring::Wiring};

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
/// Between two requests for messages that this user may not make: somebody may grant it meanwhile.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(3);
/// More than the server can say at once instead of messages: that a request ended, and signs of life.
const STATUSES: usize = 16;
/// How long a settled subscription is awaited at the end.
const UNSUBSCRIBED_WITHIN: Duration = Duration::from_secs(2);

/// Pulls from one consumer for one handler, within limits of count and bytes.
#[derive(Debug)]
pub(crate) struct Puller {
    wiring: Wiring,
    js: JetStream,
    spec: ConsumerSpec,
    /// Its stream, for each message to share.
    stream: Arc<str>,
    crew: Crew<Job>,
    in_hand: InHand,
    demand: Demand,
    /// What came on the subscription so far, what the server says instead of messages included.
    received: u64,
    /// No request before this: the last one was refused for a reason that asking again does not change.
    not_before: Instant,
    /// How long the handler took lately, in nanoseconds: a moving average.
    typical: Arc<AtomicU64>,
}

/// Why a subscription is left.
enum Left {
    Stopped,
    /// The server forgets requests with the connection on which they came, and counts what it sends anew.
    Reconnected,
    /// The consumer is gone, or nobody answers for it.
    Lost(String),
}

impl Puller {
    pub(crate) fn new(wiring: &Wiring, spec: ConsumerSpec, route: Route) -> Self {
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
            js: wiring.sender.connection().jetstream(),
            stream: spec.stream.as_str().into(),
            spec,
            crew,
            in_hand,
            demand: Demand::new(concurrency, BUDGET, largest),
            typical,
            received: 0,
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
                .mark(self.wiring.sender.connection().clone(), marking.clone()),
        );
        loop {
            let mut connections = self.wiring.connections.clone();
            connections.mark_unchanged();
            let left = match self.subscribe().await {
                Ok((inbox, mut messages)) => {
                    let left = self.pull(&inbox, &mut messages, connections).await;
                    if !matches!(left, Left::Reconnected) {
                        // Only then: what is given back while requests are open comes to ourselves again.
                        let waiting = self.crew.take_waiting();
                        let late = self.unsubscribe(&inbox, messages).await;
                        self.give_back(waiting.into_iter().chain(late)).await;
                    }
                    left
                }
                Err(error) => Left::Lost(error.to_string()),
            };
            let reason = match left {
                Left::Stopped => break,
                Left::Reconnected => continue,
                Left::Lost(reason) => reason,
            };
            let ConsumerSpec { stream, name, .. } = &self.spec;
            tracing::error!(%stream, consumer = %name, %reason, "the consumer does not answer; looking for it");
            tokio::select! {
                () = self.wiring.stop.cancelled() => break,
                () = sleep(PAUSE) => {}
            }
            // Made again where it is gone: at its declared start, because its place is gone with it.
            if let Err(error) = declare(self.wiring.sender.connection(), &self.spec).await {
                tracing::error!(%stream, consumer = %name, %error, "the consumer cannot be made");
            }
        }
        self.give_back(self.crew.take_waiting()).await;
        self.crew.at_most(0).await;
        marking.cancel();
    }

    async fn subscribe(&self) -> Result<(String, Subscriber), async_nats::SubscribeError> {
        let client = self.wiring.sender.client();
        let inbox = client.new_inbox();
        Ok((inbox.clone(), client.subscribe(inbox).await?))
    }

    async fn pull(
        &mut self,
        inbox: &str,
        messages: &mut Subscriber,
        mut connections: watch::Receiver<u64>,
    ) -> Left {
        self.demand.reset();
        self.spec.received.anew();
        self.received = 0;
        let mut refusals = self.wiring.sender.connection().refusals().heard();
        let next = self.next_subject();
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let typical = Duration::from_nanos(self.typical.load(Ordering::Relaxed));
            let now = Instant::now();
            if now >= self.not_before
                && let Some(pull) = self.demand.next(self.crew.len(), self.in_hand.bytes(), typical)
                && let Err(error) = self.ask(inbox, pull).await
            {
                return self.ended(connections, error.to_string()).await;
            }
            let crew = self.crew.clone();
            let held = self.crew.len();
            tokio::select! {
                biased;
                () = self.wiring.stop.cancelled() => return Left::Stopped,
                message = messages.next() => {
                    silent_at = Instant::now() + SILENCE;
                    let Some(message) = message else {
                        return self.ended(connections, "the subscription ended".into()).await;
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
                _ = connections.changed() => return Left::Reconnected,
                // The server answers nothing to it, ever.
                _ = refusals.next(|refusal| refusal.subject == next) => {
                    self.demand.reset();
                    self.not_before = Instant::now() + FORBIDDEN_PAUSE;
                }
                () = sleep_until(silent_at) => {
                    silent_at = Instant::now() + SILENCE;
                    self.demand.reset();
                }
                () = crew.at_most(held / 2), if held > 0 => {}
                () = sleep_until(self.not_before), if self.not_before > now => {}
            }
        }
    }

    /// The client has ended, and the subscription with it; what is in hand stays there until another one comes.
    async fn ended(&self, mut connections: watch::Receiver<u64>, reason: String) -> Left {
        tokio::select! {
            () = self.wiring.stop.cancelled() => Left::Stopped,
            _ = connections.changed() => Left::Reconnected,
            () = self.wiring.closed.cancelled() => Left::Lost(reason),
        }
    }

    fn next_subject(&self) -> String {
        let prefix = self.wiring.sender.connection().api_prefix();
        format!(
            "{prefix}.CONSUMER.MSG.NEXT.{}.{}",
            self.spec.stream, self.spec.name
        )
    }

    async fn ask(&self, inbox: &str, pull: Pull) -> Result<(), async_nats::PublishError> {
        let subject = self.next_subject();
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
        self.received += 1;
        let Some(status) = message.status else {
            if let Some(job) = self.take(message) {
                self.crew.push(job);
            }
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

    /// Takes a message in hand.
    fn take(&mut self, message: Message) -> Option<Job> {
        let bytes = message.length;
        self.demand.came(bytes);
        tracing::trace!(target: "tidewire::walk", "pulled");
        let Some(ack) = message.reply.clone() else {
            tracing::warn!(subject = %message.subject, "a message without an ack subject is none of the stream's");
            return None;
        };
        let wrapped = jetstream::Message {
            message,
            context: self.js.clone(),
        };
        let info = wrapped.info().ok();
        let delivered = info.as_ref().map(|info| u32::try_from(info.delivered));
        if let Some(info) = info.as_ref().filter(|info| info.delivered == 1) {
            self.spec.received.came(info.stream_sequence);
        }
        let attempt = delivered.and_then(Result::ok).unwrap_or(1);
        let stored = info.map(|info| StoredAt {
            stream: self.stream.clone(),
            sequence: info.stream_sequence,
            time: clock::at(info.published.into()),
        });
        let grip = self.in_hand.take(ack.clone(), bytes);
        tracing::trace!(target: "tidewire::walk", "in hand");
        Some(Job {
            message: wrapped.message,
            ack,
            attempt,
            stored,
            grip,
        })
    }

    /// Ends the subscription after the last message that the server may have sent already.
    ///
    /// The client's own `drain` forgets a subscription before the server has: what is on its way then would be dropped,
    /// and come again only after the ack wait. So the server is told to end it after as many messages as may still
    /// come, and messages to ourselves make up for those that do not.
    async fn unsubscribe(&mut self, inbox: &str, mut messages: Subscriber) -> Vec<Job> {
        let mut late = Vec::new();
        let may_come = self.demand.asked() + STATUSES;
        let last = self.received + u64::try_from(may_come).unwrap_or(u64::MAX);
        let rest = async {
            if messages.unsubscribe_after(last).await.is_err() {
                return;
            }
            for _ in 0..may_come {
                let client = self.wiring.sender.client();
                if client.publish(inbox.to_owned(), Bytes::new()).await.is_err() {
                    return;
                }
            }
            while let Some(message) = messages.next().await {
                if message.status.is_none() && message.reply.is_some() {
                    late.extend(self.take(message));
                }
            }
        };
        drop(timeout(UNSUBSCRIBED_WITHIN, rest).await);
        late
    }

    async fn give_back(&self, jobs: impl IntoIterator<Item = Job>) {
        for job in jobs {
            job.give_back(&self.wiring.sender).await;
        }
    }
}

/// Moves the average an eighth of the way.
fn average(typical: &AtomicU64, took: Duration) {
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let before = typical.load(Ordering::Relaxed);
    typical.store(before - before / 8 + took / 8, Ordering::Relaxed);
}
