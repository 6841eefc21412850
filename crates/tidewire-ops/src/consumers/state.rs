//! One consumer: how it is set up, and where it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewire::{
    Timestamp,
    async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, PriorityPolicy},
    wire,
};

use super::hears_replays;
use crate::api;

/// A consumer as its leader describes it.
#[derive(Clone, Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something else, and has its name in JSON"
)]
#[non_exhaustive]
pub struct ConsumerState {
    /// The stream that it reads.
    pub stream: String,
    /// Its name; ours are `<service>__<durable>`.
    pub consumer: String,
    /// The service that owns it, by its metadata; `None` where it is not Tidewire's.
    pub service: Option<String>,
    /// The durable handler that reads through it.
    pub durable: Option<String>,
    /// Whether it is the one that gives the durable its replayed letters, and not its messages.
    pub replays: bool,
    /// What it reads there; empty where that is everything.
    pub filters: Vec<String>,
    /// `explicit`, `all`, `none` or `flow control`.
    pub ack: &'static str,
    /// Seconds until an unacknowledged message is delivered again.
    pub ack_wait_seconds: f64,
    /// At how many unacknowledged messages it waits; `None` without a limit.
    pub max_ack_pending: Option<i64>,
    /// How often a message is delivered at most; `None` without a limit.
    pub max_deliver: Option<i64>,
    /// Whether messages are pushed to it instead of pulled by it.
    pub push: bool,
    /// Whether one instance at a time is served, as for a durable that is ordered by key.
    pub ordered_by_key: bool,
    /// When it was made.
    pub created: Timestamp,
    /// The sequence up to which everything is settled.
    pub ack_floor: u64,
    /// The sequence of the newest message that was delivered.
    pub delivered: u64,
    /// How many deliveries there were, repeated ones included.
    pub deliveries: u64,
    /// Messages that were not delivered yet.
    pub pending: u64,
    /// Messages that were delivered and are not settled: in hand, or waiting for another attempt.
    pub unacknowledged: u64,
    /// How many of these were delivered more than once.
    pub redelivered: u64,
    /// Messages that the durable has parked behind one of their key that waits. They are acknowledged, so they are in no
    /// other number; they are told with the replays, which lie in the same stream.
    pub parked: u64,
    /// Requests for messages that wait at the server.
    pub waiting_pulls: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// For how many seconds more; `None` where it is not paused.
    pub pause_remaining_seconds: Option<f64>,
    /// Which client the server serves, where it serves one at a time.
    pub pinned_client: Option<String>,
    /// When its leader said all this, by its clock, which also gives messages their times.
    pub time: Timestamp,
    /// Where its first unsettled message may be, at the earliest.
    #[serde(skip)]
    pub(crate) settled: u64,
    /// Whether the server passes over messages that it does not deliver, so that the first unsettled one cannot be found.
    #[serde(skip)]
    pub(crate) skips: bool,
}

/// What the server says of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Info {
    stream_name: String,
    name: String,
    created: Timestamp,
    config: Config,
    delivered: Place,
    ack_floor: Place,
    num_ack_pending: u64,
    num_redelivered: u64,
    num_waiting: u64,
    num_pending: u64,
    #[serde(default)]
    paused: bool,
    /// In nanoseconds.
    #[serde(default)]
    pause_remaining: Option<u64>,
    #[serde(default)]
    priority_groups: Vec<Group>,
    ts: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Place {
    consumer_seq: u64,
    stream_seq: u64,
}

#[derive(Debug, Deserialize)]
struct Group {
    #[serde(default)]
    pinned_client_id: Option<String>,
}

impl ConsumerState {
    /// Messages that were not delivered, and those that are not settled.
    pub fn waiting(&self) -> u64 {
        self.pending + self.unacknowledged
    }

    /// What it is known by.
    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.stream, &self.consumer)
    }
}

impl From<Info> for ConsumerState {
    fn from(info: Info) -> Self {
        let config = info.config;
        let owner = |name: &str| config.metadata.get(name).cloned();
        let (service, durable) = (owner(wire::META_SERVICE), owner(wire::META_HANDLER));
        let filters = api::filters(&config);
        let mut pinned = info.priority_groups.into_iter();
        Self {
            replays: service
                .as_ref()
                .is_some_and(|service| hears_replays(&info.stream_name, service, &filters)),
            stream: info.stream_name,
            consumer: info.name,
            service,
            durable,
            filters,
            ack: match config.ack_policy {
                AckPolicy::Explicit => "explicit",
                AckPolicy::All => "all",
                AckPolicy::None => "none",
                AckPolicy::FlowControl => "flow control",
            },
            ack_wait_seconds: config.ack_wait.as_secs_f64(),
            max_ack_pending: (config.max_ack_pending > 0).then_some(config.max_ack_pending),
            max_deliver: (config.max_deliver > 0).then_some(config.max_deliver),
            push: config.deliver_subject.is_some(),
            ordered_by_key: config.priority_policy == PriorityPolicy::PinnedClient,
            created: info.created,
            ack_floor: info.ack_floor.stream_seq,
            delivered: info.delivered.stream_seq,
            deliveries: info.delivered.consumer_seq,
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending,
            redelivered: info.num_redelivered,
            parked: 0,
            waiting_pulls: info.num_waiting,
            paused: info.paused,
            pause_remaining_seconds: info
                .pause_remaining
                .filter(|_| info.paused)
                .map(|nanos| Duration::from_nanos(nanos).as_secs_f64()),
            pinned_client: pinned
                .find_map(|group| group.pinned_client_id)
                .filter(|id| !id.is_empty()),
            time: info.ts,
            settled: match info.num_ack_pending {
                0 => info.delivered.stream_seq.max(info.ack_floor.stream_seq),
                _ => info.ack_floor.stream_seq,
            },
            skips: config.deliver_policy == DeliverPolicy::LastPerSubject,
        }
    }
}
