//! Looking after what a service stands on: its connection, the streams that it declares, and whether its durables are
//! held back.
//!
//! What a consumer lacks its puller finds out by itself. A service that only publishes has nobody else to ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_nats::{connection::State, jetstream::consumer::Info};
use futures_util::future::join_all;
use tidewire_core::SubjectFilter;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::{
    metrics,
    start_error::StartError,
    stream::{captured, find},
    wiring::Wiring,
};

/// How often the client's state is read; it has nothing to await.
const LOOK: Duration = Duration::from_millis(250);
/// How often the streams are asked for.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often where a stream lacks something.
const SOON: Duration = Duration::from_millis(500);
/// At how many looks once it is looked whether a durable is held back: who pauses it by `tidewire pause` tells at once.
const DURABLES_EACH: u32 = 12;
/// How long an answer about a consumer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// The names of the causes.
const CONNECTION: &str = "connection";
const JETSTREAM: &str = "jetstream";

/// The consumers of each durable, with their streams.
pub(crate) type Consumers = BTreeMap<String, Vec<(String, String)>>;

/// What is sent to each stream.
pub(crate) type SentTo = BTreeMap<String, Vec<SubjectFilter>>;

/// What is looked after.
#[derive(Debug)]
pub(crate) struct Checkup {
    wiring: Wiring,
    streams: SentTo,
    consumers: Consumers,
}

impl Checkup {
    /// Of these streams, and of those that the consumers read.
    pub(crate) fn new(wiring: Wiring, mut streams: SentTo, consumers: Consumers) -> Self {
        for (stream, _) in consumers.values().flatten() {
            streams.entry(stream.clone()).or_default();
        }
        Self {
            wiring,
            streams,
            consumers,
        }
    }

    /// Looks until the service is over.
    pub(crate) async fn run(self) {
        let over = self.wiring.over.clone();
        tokio::select! {
            () = over.cancelled() => {}
            () = self.connection() => {}
            () = self.rest() => {}
            () = self.uncaptured() => {}
        }
        self.wiring.sender.uncaptured().ends();
        metrics::connection(self.wiring.sender.service()).0.set(0);
    }

    async fn connection(&self) {
        let (connected, reconnects) = metrics::connection(self.wiring.sender.service());
        reconnects.increment(0);
        let nats = self.wiring.sender.connection();
        let mut before = nats.living().connects();
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = nats.living().connects();
            reconnects.increment(now.saturating_sub(before));
            before = now;
            let is_connected = self.is_connected();
            connected.set(u8::from(is_connected));
            if is_connected {
                self.wiring.health.recovers(CONNECTION);
            } else {
                let text = "the connection to NATS is lost; it is tried again and again, see the log for what the server says";
                self.wiring.health.ails(CONNECTION, text);
            }
        }
    }

    fn is_connected(&self) -> bool {
        self.wiring.sender.client().connection_state() == State::Connected
    }

    async fn rest(&self) {
        let mut connections = self.wiring.connections.clone();
        // A stream whose leader died has another one before it was not heard of twice.
        let mut unanswered = BTreeSet::new();
        let mut looks = 0_u32;
        loop {
            if self.is_connected() {
                for (stream, sent) in &self.streams {
                    self.stream(stream, sent, &mut unanswered).await;
                }
                self.durables(looks.is_multiple_of(DURABLES_EACH)).await;
                looks = looks.wrapping_add(1);
            }
            tokio::select! {
                () = sleep(AGAIN_AFTER) => {}
                Ok(()) = connections.changed() => {}
            }
        }
    }

    /// Looks again at the streams that lack something: what is sent to them waits for it.
    async fn uncaptured(&self) {
        let uncaptured = self.wiring.sender.uncaptured();
        loop {
            sleep(SOON).await;
            if !uncaptured.any() {
                continue;
            }
            let looks = uncaptured.streams().into_iter().map(async |stream| {
                let nats = self.wiring.sender.connection();
                if let (Ok(Some(config)), Some(sent)) = (find(nats, &stream).await, self.streams.get(&stream))
                {
                    self.tell(&stream, sent, captured(&config));
                }
            });
            join_all(looks).await;
        }
    }

    /// Tells those who send what the stream captures, and gives back what it lacks of what is sent to it.
    fn tell<'a>(
        &self,
        stream: &str,
        sent: &'a [SubjectFilter],
        captured: Vec<SubjectFilter>,
    ) -> Option<&'a SubjectFilter> {
        let uncaptured = self.wiring.sender.uncaptured();
        let lacking = sent
            .iter()
            .find(|filter| !captured.iter().any(|captured| captured.covers(filter)));
        match lacking {
            None => uncaptured.is_whole(stream),
            Some(_) => uncaptured.lacks(stream, captured),
        }
        lacking
    }

    /// Looks whether the stream is there and captures what is sent to it.
    async fn stream(&self, stream: &str, sent: &[SubjectFilter], unanswered: &mut BTreeSet<String>) {
        let (health, cause) = (&self.wiring.health, format!("stream-{stream}"));
        let uncaptured = self.wiring.sender.uncaptured();
        let found = find(self.wiring.sender.connection(), stream).await;
        if !matches!(found, Err(StartError::NoJetStream { .. })) {
            health.recovers(JETSTREAM);
        }
        let is_second = !unanswered.insert(cause.clone());
        match found {
            Ok(Some(config)) => match self.tell(stream, sent, captured(&config)) {
                None => health.recovers(&cause),
                Some(filter) => health.ails(
                    &cause,
                    format!(
                        "the stream {stream} does not capture `{filter}`, which this service sends; start the service that \
                         keeps its context again, which adds it"
                    ),
                ),
            },
            Ok(None) => {
                self.tell(stream, sent, Vec::new());
                health.ails(
                    &cause,
                    format!("there is no stream {stream} any more; start the service that keeps its context, which makes it"),
                );
            }
            Err(StartError::NoJetStream { reason }) => {
                uncaptured.is_whole(stream);
                health.ails(JETSTREAM, format!("there is no JetStream: {reason}"));
            }
            Err(StartError::NotPermitted(refusal)) => {
                uncaptured.is_whole(stream);
                health.ails(&cause, format!("the stream {stream} cannot be looked at: {refusal}"));
            }
            Err(error) => {
                if is_second {
                    uncaptured.is_whole(stream);
                    health.ails(&cause, format!("the stream {stream} does not answer: {error}"));
                }
                return;
            }
        }
        unanswered.remove(&cause);
    }

    /// Looks at the durables that are said to be held back, or at `all` of them.
    async fn durables(&self, all: bool) {
        let health = &self.wiring.health;
        let known = health.degraded();
        for (durable, consumers) in &self.consumers {
            let (paused, full) = (paused(durable), full(durable));
            if !all && !known.contains_key(&paused) && !known.contains_key(&full) {
                continue;
            }
            let looks = consumers
                .iter()
                .map(|(stream, consumer)| self.consumer(stream, consumer));
            let looks = join_all(looks).await;
            match any(&looks, |info| info.paused) {
                Some(true) => health.degrades(&paused, pause_text(durable)),
                Some(false) => health.goes_on(&paused),
                None => {}
            }
            match any(&looks, is_full) {
                Some(true) => {
                    let text = full_text(durable);
                    if !known.contains_key(&full) {
                        tracing::warn!("{text}");
                    }
                    health.degrades(&full, text);
                }
                Some(false) => health.goes_on(&full),
                None => {}
            }
        }
    }

    /// `None` where it is not known.
    async fn consumer(&self, stream: &str, consumer: &str) -> Option<Info> {
        let js = self.wiring.sender.connection().jetstream();
        let looking = async {
            let stream = js.get_stream_no_info(stream).await.ok()?;
            stream.consumer_info(consumer).await.ok()
        };
        // Boxed: the client's futures are large.
        timeout(ANSWERED_WITHIN, Box::pin(looking)).await.ok().flatten()
    }
}

/// Whether it is so of any of a durable's consumers; `None` where that is not known.
fn any(looks: &[Option<Info>], is_so: fn(&Info) -> bool) -> Option<bool> {
    let of_any = looks.iter().flatten().any(is_so);
    (of_any || looks.iter().all(Option::is_some)).then_some(of_any)
}

/// Whether so many of its messages are not settled that the server gives it no more.
fn is_full(info: &Info) -> bool {
    let most = usize::try_from(info.config.max_ack_pending).unwrap_or(usize::MAX);
    info.num_ack_pending >= most
}

/// The name under which a paused durable is shown.
pub(crate) fn paused(durable: &str) -> String {
    format!("paused-{durable}")
}

pub(crate) fn pause_text(durable: &str) -> String {
    format!("the durable `{durable}` is paused by an operator; `tidewire resume` ends it")
}

fn full(durable: &str) -> String {
    format!("full-{durable}")
}

fn full_text(durable: &str) -> String {
    format!(
        "the durable `{durable}` is given nothing more: as many of its messages wait for another attempt as the server lets \
         wait; see in the log or by `tidewire lag` why they fail, and it goes on as they are settled"
    )
}
