//! How far the durables are behind, and whether they catch up.

mod rates;

use std::{cmp::Ordering, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tidewire::{ApiError, Connection, Timestamp, async_nats::jetstream::ErrorCode, oldest_unsettled};

use crate::{
    consumers::{AT_ONCE, ConsumerState, Consumers, Unanswered},
    error::OpsError,
};

pub use rates::Drain;
use rates::{Rates, rates};

/// How far every consumer that was meant is behind, over an interval.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Lag {
    /// When the interval ended, by this machine's clock.
    pub time: Timestamp,
    /// The consumers, the worst first: those that do not drain, then by the age of their oldest message.
    pub consumers: Vec<ConsumerLag>,
    /// What did not answer.
    pub unanswered: Vec<Unanswered>,
}

/// How far one consumer is behind.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConsumerLag {
    /// The stream that it reads.
    pub stream: String,
    /// Its name.
    pub consumer: String,
    /// The service that owns it; `None` where it is not Tidewire's.
    pub service: Option<String>,
    /// The durable handler that reads through it.
    pub durable: Option<String>,
    /// Whether it gives the durable its replayed letters, and not its messages.
    pub replays: bool,
    /// Messages that were not delivered yet.
    pub pending: u64,
    /// Messages that were delivered and are not settled: in hand, or waiting for another attempt.
    pub unacknowledged: u64,
    /// How many of these were delivered more than once.
    pub redelivered: u64,
    /// Messages that the durable has parked; told with its replays, and in no other number.
    pub parked: u64,
    /// Requests for messages that wait at the server.
    pub waiting_pulls: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// How many seconds ago the oldest message that is not settled was stored; `None` where none is, or where it cannot
    /// be found.
    pub oldest_seconds: Option<f64>,
    /// Over how many seconds the rates were measured; `None` where they are not known.
    pub measured_seconds: Option<f64>,
    /// Matching messages that came in a second; `None` where it is not known: the consumer is new, was made again or
    /// reset, or messages were removed.
    pub in_per_second: Option<f64>,
    /// Messages that were settled in a second.
    pub out_per_second: Option<f64>,
    /// Whether it catches up.
    pub drain: Drain,
    /// In how many seconds nothing waits any more; `None` where it does not drain or that is not known, 0 where nothing
    /// waits.
    pub drain_seconds: Option<f64>,
}

impl Lag {
    /// What happened between two moments, and how things stand at the later one.
    ///
    /// # Errors
    /// [`OpsError::NotPermitted`] or [`OpsError::JetStream`].
    pub async fn between(nats: &Connection, before: &Consumers, after: &Consumers) -> Result<Self, OpsError> {
        let measuring = after.consumers.iter().map(|now| async move {
            let earlier = before.consumers.iter().find(|one| one.place() == now.place());
            let oldest = oldest(nats, now).await?;
            Ok::<_, OpsError>(ConsumerLag::new(
                now,
                oldest,
                earlier.and_then(|one| rates(one, now)),
            ))
        });
        let measured = stream::iter(measuring).buffer_unordered(AT_ONCE);
        let mut consumers: Vec<_> = measured.try_collect().await?;
        consumers.sort_by(worst_first);
        Ok(Self {
            time: after.time,
            consumers,
            unanswered: after.unanswered.clone(),
        })
    }
}

/// How old the oldest message is that waits; nothing is asked where none does.
async fn oldest(nats: &Connection, state: &ConsumerState) -> Result<Option<Duration>, OpsError> {
    if state.waiting() == 0 || state.skips {
        return Ok(None);
    }
    match oldest_unsettled(nats, &state.stream, &state.filters, state.settled).await {
        // It may have been settled meanwhile.
        Ok(stored) => Ok(stored.map(|stored| state.time.since(stored))),
        Err(ApiError::NotPermitted(refusal)) => Err(refusal.into()),
        // The stream is gone, or has lost its leader meanwhile.
        Err(ApiError::Unanswered { .. }) => Ok(None),
        Err(ApiError::Answered(error)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Err(error) => Err(OpsError::jetstream(
            format!("read the oldest message of the stream {}", state.stream),
            error,
        )),
    }
}

impl ConsumerLag {
    fn new(state: &ConsumerState, oldest: Option<Duration>, rates: Option<Rates>) -> Self {
        let (drain, left) = Drain::of(state.waiting(), state.parked, rates);
        Self {
            stream: state.stream.clone(),
            consumer: state.consumer.clone(),
            service: state.service.clone(),
            durable: state.durable.clone(),
            replays: state.replays,
            pending: state.pending,
            unacknowledged: state.unacknowledged,
            redelivered: state.redelivered,
            parked: state.parked,
            waiting_pulls: state.waiting_pulls,
            paused: state.paused,
            oldest_seconds: oldest.map(|oldest| oldest.as_secs_f64()),
            measured_seconds: rates.map(|rates| rates.over.as_secs_f64()),
            in_per_second: rates.map(|rates| rates.come),
            out_per_second: rates.map(|rates| rates.gone),
            drain,
            drain_seconds: left.map(|left| left.as_secs_f64()),
        }
    }

    /// Whether nothing waits for it in any form.
    pub fn is_empty(&self) -> bool {
        self.pending == 0 && self.unacknowledged == 0 && self.parked == 0
    }
}

fn worst_first(one: &ConsumerLag, other: &ConsumerLag) -> Ordering {
    let drains = |lag: &ConsumerLag| lag.drain != Drain::Never;
    let age = |lag: &ConsumerLag| lag.oldest_seconds.unwrap_or(0.0);
    let waiting = |lag: &ConsumerLag| lag.pending + lag.unacknowledged + lag.parked;
    let place = |lag: &ConsumerLag| (lag.consumer.clone(), lag.stream.clone());
    drains(one)
        .cmp(&drains(other))
        .then_with(|| age(other).total_cmp(&age(one)))
        .then_with(|| waiting(other).cmp(&waiting(one)))
        .then_with(|| place(one).cmp(&place(other)))
}
