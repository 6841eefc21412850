//! How much waits for the durables of a service, as gauges.
//!
//! `tidewire_consumer_pending_messages`, `tidewire_consumer_unacknowledged_messages`,
//! `tidewire_consumer_redelivered_messages` and `tidewire_consumer_oldest_pending_seconds`, with the labels `service` and
//! `consumer`, go to whatever recorder of the crate `metrics` the process has. A durable is one consumer there, called
//! `<service>__<durable>`: its streams and its replays are summed, and the oldest message is the oldest of all of them.
//! Every instance of a service says the same, so take the maximum over instances and never the sum. What is not known is
//! NaN.

mod gauges;
mod oldest;

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tidewire_core::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{ApiError, Connection},
    consumer::ConsumerSpec,
};

use gauges::Gauges;
pub use oldest::oldest_unsettled;

/// How often the server is asked.
const EVERY: Duration = Duration::from_secs(10);
/// How long one answer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// The durables of one service, and where it is said how much waits for them.
#[derive(Debug)]
pub(crate) struct Depths {
    nats: Connection,
    durables: Vec<Durable>,
}

#[derive(Debug)]
struct Durable {
    /// Its consumers: one on each stream that it reads, and one for its replays.
    specs: Vec<ConsumerSpec>,
    /// `None` until there is a recorder.
    gauges: Option<Gauges>,
    /// Whether it is asked about at all: not after a refusal.
    permitted: bool,
    /// Whether its oldest message is asked for, which is another question.
    ages: bool,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    pending: u64,
    unacknowledged: u64,
    redelivered: u64,
    /// How long the oldest has waited, nothing where none does; `None` where it is not known.
    oldest: Option<Duration>,
}

/// What the server says of a consumer.
#[derive(Debug, Deserialize)]
struct Info {
    /// When it said so, by its own clock, as the times of messages are.
    ts: Timestamp,
    delivered: Place,
    ack_floor: Place,
    num_pending: u64,
    num_ack_pending: u64,
    num_redelivered: u64,
}

#[derive(Debug, Deserialize)]
struct Place {
    stream_seq: u64,
}

/// Whether a question to JetStream, such as `STREAM.MSG.GET.<stream>`, may be one of ours for the age of a message. Where it
/// is refused nothing is measured, and all else goes on.
pub(crate) fn is_measuring(question: &str) -> bool {
    let stream = question.strip_prefix("STREAM.MSG.GET.");
    stream.is_some_and(|stream| !stream.starts_with("KV_") && !stream.starts_with("TIDEWIRE_"))
}

impl Depths {
    pub(crate) fn new(nats: &Connection, specs: &[ConsumerSpec]) -> Self {
        let mut durables: Vec<Durable> = Vec::new();
        for spec in specs {
            let known = durables
                .iter_mut()
                .find(|durable| durable.specs[0].name == spec.name);
            match known {
                Some(durable) => durable.specs.push(spec.clone()),
                None => durables.push(Durable {
                    specs: vec![spec.clone()],
                    // A recorder may belong to the thread that starts the service.
                    gauges: Gauges::register(&spec.service, &spec.name),
                    permitted: true,
                    ages: true,
                }),
            }
        }
        Self {
            nats: nats.clone(),
            durables,
        }
    }

    /// Asks every ten seconds until the service stops; while there is no recorder nothing is asked.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sampling = async {
            loop {
                tick.tick().await;
                for durable in &mut self.durables {
                    durable.sample(&self.nats).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sampling => {}
        }
    }
}

impl Durable {
    async fn sample(&mut self, nats: &Connection) {
        let Self {
            specs,
            gauges,
            permitted,
            ages,
        } = self;
        if !*permitted {
            return;
        }
        let (service, consumer) = (&specs[0].service, &specs[0].name);
        if gauges.is_none() {
            *gauges = Gauges::register(service, consumer);
        }
        let Some(gauges) = gauges else { return };
        let mut all = Depth {
            oldest: Some(Duration::ZERO),
            ..Depth::default()
        };
        for spec in &*specs {
            match depth(nats, spec, ages).await {
                Ok(depth) => all = all.and(depth),
                Err(error) => {
                    gauges.unknown();
                    if let ApiError::NotPermitted(refusal) = error {
                        *permitted = false;
                        tracing::warn!(%consumer, %refusal, "how much waits for it is not measured");
                    } else {
                        tracing::debug!(%consumer, stream = %spec.stream, %error, "how much waits for it is not known");
                    }
                    return;
                }
            }
        }
        gauges.say(all);
    }
}

/// What waits on one stream: one question, and the oldest message only where there is one and `ages` allows it.
async fn depth(nats: &Connection, spec: &ConsumerSpec, ages: &mut bool) -> Result<Depth, ApiError> {
    let question = format!("CONSUMER.INFO.{}.{}", spec.stream, spec.name);
    let info: Info = nats.api(&question, &json!({}), ANSWERED_WITHIN).await?;
    spec.place.moved(info.ack_floor.stream_seq);
    let mut depth = Depth {
        pending: info.num_pending,
        unacknowledged: info.num_ack_pending,
        redelivered: info.num_redelivered,
        oldest: Some(Duration::ZERO),
    };
    if info.num_pending + info.num_ack_pending > 0 {
        let settled = match info.num_ack_pending {
            0 => info.delivered.stream_seq.max(info.ack_floor.stream_seq),
            _ => info.ack_floor.stream_seq,
        };
        depth.oldest = None;
        if *ages {
            match oldest_unsettled(nats, &spec.stream, &spec.filters, settled).await {
                // It may have been settled meanwhile.
                Ok(oldest) => {
                    depth.oldest = Some(oldest.map_or(Duration::ZERO, |oldest| info.ts.since(oldest)));
                }
                Err(ApiError::NotPermitted(refusal)) => {
                    *ages = false;
                    tracing::warn!(consumer = %spec.name, %refusal, "how long its oldest message waits is not measured");
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(depth)
}

impl Depth {
    fn and(self, other: Self) -> Self {
        Self {
            pending: self.pending + other.pending,
            unacknowledged: self.unacknowledged + other.unacknowledged,
            redelivered: self.redelivered + other.redelivered,
            oldest: self.oldest.zip(other.oldest).map(|(one, other)| one.max(other)),
        }
    }
}
