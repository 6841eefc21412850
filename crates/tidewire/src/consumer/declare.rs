//! Making a durable consumer what its handler declares.

use std::{collections::HashMap, time::Duration};

use async_nats::{
    datetime::parse_rfc3339,
    jetstream::{
        ErrorCode,
        consumer::{AckPolicy, Config, DeliverPolicy, Info, PriorityPolicy, ReplayPolicy, pull},
        context::{ConsumerInfoError, ConsumerInfoErrorKind},
    },
};
use tidewire_core::{Start, wire};

use super::{ordered::GROUP, place::Place};
use crate::{connection::Connection, quarantine::Received, start_error::StartError, stream::look_up};

/// The default of how long a message may be in hand without a sign of life before the server delivers it again. A mark
/// goes out every third of it, so that it runs out only where the process, its runtime or its connection is dead.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(30);
/// Delayed messages count as unacknowledged too: the limit is high, and the back-pressure is our own.
const MAX_ACK_PENDING: i64 = 65_536;

/// A consumer as a handler declares it.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerSpec {
    pub(crate) stream: String,
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) durable: String,
    pub(crate) filters: Vec<String>,
    pub(crate) start: Start,
    pub(crate) ack_wait: Duration,
    /// How far this instance has received its messages.
    pub(crate) received: Received,
    /// Where it goes on if somebody deletes its consumer.
    pub(crate) place: Place,
    /// How long the server serves one instance that does not pull, where it serves one at a time: of a durable that is
    /// ordered by key.
    pub(crate) pinned_for: Option<Duration>,
}

/// What waits for a consumer when a service starts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    pub(crate) pending: u64,
    pub(crate) unacknowledged: usize,
}

impl Depth {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            pending: self.pending + other.pending,
            unacknowledged: self.unacknowledged + other.unacknowledged,
        }
    }
}

/// Makes the consumer, or sees that it is the declared one; a filter that grew is added.
pub(crate) async fn declare(nats: &Connection, spec: &ConsumerSpec) -> Result<Depth, StartError> {
    let consumer = format!("$JS.API.CONSUMER.*.{}.{}", spec.stream, spec.name);
    // With a single filter it is made at a subject that has the filter behind its name.
    let subjects = [format!("{consumer}.>"), consumer];
    nats.unless_refused(&subjects, find_or_make(nats, spec)).await?
}

async fn find_or_make(nats: &Connection, spec: &ConsumerSpec) -> Result<Depth, StartError> {
    let created = match spec.start {
        Start::Now => look_up(nats, &spec.stream).await?.map(|found| found.created),
        // Nothing is skipped: it begins again where it began.
        _ => None,
    };
    let js = nats.jetstream();
    let stream = js
        .get_stream_no_info(&spec.stream)
        .await
        .map_err(StartError::jetstream)?;
    let wanted = spec.config();
    let info = match stream.consumer_info(&spec.name).await {
        Ok(info) => {
            spec.check_owner(&info.config)?;
            let lost = spec.lossy(&info.config);
            if !lost.is_empty() {
                return Err(spec.differs(lost));
            }
            let shorter = wanted.ack_wait < info.config.ack_wait;
            if same(&wanted, &info.config) && (!shorter || info.num_ack_pending > 0) {
                info
            } else {
                let updated = pull::Config {
                    // The server applies a shorter one to what others have in hand, whose leases are longer.
                    ack_wait: if info.num_ack_pending > 0 {
                        wanted.ack_wait.max(info.config.ack_wait)
                    } else {
                        wanted.ack_wait
                    },
                    deliver_policy: info.config.deliver_policy,
                    ..wanted.clone()
                };
                let updated = stream
                    .update_consumer(updated)
                    .await
                    .map_err(StartError::jetstream)?;
                spec.report_added(&info);
                updated.cached_info().clone()
            }
        }
        Err(error) if is_not_found(&error) => {
            let next = created.and_then(|created| spec.place.next(created));
            let made = stream
                .create_consumer(pull::Config {
                    deliver_policy: next.map_or(wanted.deliver_policy, |start_sequence| {
                        DeliverPolicy::ByStartSequence { start_sequence }
                    }),
                    ..wanted.clone()
                })
                .await
                .map_err(StartError::jetstream)?;
            made.cached_info().clone()
        }
        Err(error) => return Err(StartError::jetstream(error)),
    };
    // A server that does not know a setting may drop it without a word, and another instance may have been first.
    spec.check_owner(&info.config)?;
    if !same(&wanted, &info.config) {
        return Err(spec.differs(vec![format!("asked for {wanted:?}, got {:?}", info.config)]));
    }
    if let Some(created) = created {
        spec.place.note(created, info.ack_floor.stream_sequence);
    }
    Ok(spec.found(&info))
}

fn is_not_found(error: &ConsumerInfoError) -> bool {
    match error.kind() {
        ConsumerInfoErrorKind::NotFound => true,
        ConsumerInfoErrorKind::JetStream(api) => api.error_code() == ErrorCode::CONSUMER_NOT_FOUND,
        _ => false,
    }
}

impl ConsumerSpec {
    fn found(&self, info: &Info) -> Depth {
        self.received.begins_after(info.delivered.stream_sequence);
        Depth {
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending,
        }
    }

    fn config(&self) -> pull::Config {
        let metadata = [
            (wire::META_SERVICE, self.service.as_str()),
            (wire::META_HANDLER, &self.durable),
            (wire::META_CONTRACT, wire::CONTRACT),
        ];
        let (priority_policy, priority_groups) = match self.pinned_for {
            Some(_) => (PriorityPolicy::PinnedClient, vec![GROUP.to_owned()]),
            None => (PriorityPolicy::None, Vec::new()),
        };
        pull::Config {
            priority_policy,
            priority_groups,
            priority_timeout: self.pinned_for.unwrap_or_default(),
            durable_name: Some(self.name.clone()),
            deliver_policy: deliver_policy(self.start),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_deliver: -1,
            filter_subjects: self.filters.clone(),
            replay_policy: ReplayPolicy::Instant,
            max_ack_pending: MAX_ACK_PENDING,
            metadata: metadata
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..pull::Config::default()
        }
    }

    fn check_owner(&self, found: &Config) -> Result<(), StartError> {
        let owner = |name| found.metadata.get(name).map_or("nobody", String::as_str);
        let ours = owner(wire::META_SERVICE) == self.service && owner(wire::META_HANDLER) == self.durable;
        if ours {
            return Ok(());
        }
        Err(StartError::ConsumerOwned {
            stream: self.stream.clone(),
            consumer: self.name.clone(),
            owner: match owner(wire::META_SERVICE) {
                "nobody" => "a program that is not Tidewire".into(),
                service => format!(
                    "the durable `{}` of the service `{service}`",
                    owner(wire::META_HANDLER)
                ),
            },
            durable: self.durable.clone(),
        })
    }

    /// Differences that would skip messages, or that the server cannot change.
    fn lossy(&self, found: &Config) -> Vec<String> {
        let mut lost: Vec<_> = filters(found)
            .into_iter()
            .filter(|filter| !self.filters.contains(filter))
            .map(|filter| {
                format!("filter: `{filter}` is not declared any more; what waits there would be skipped")
            })
            .collect();
        if found.ack_policy != AckPolicy::Explicit {
            lost.push(format!(
                "ack policy: explicit is needed and {:?} found",
                found.ack_policy
            ));
        }
        let declared = deliver_policy(self.start);
        // Where it was made again, it goes on at its place.
        let again =
            self.start == Start::Now && matches!(found.deliver_policy, DeliverPolicy::ByStartSequence { .. });
        if found.deliver_policy != declared && !again {
            lost.push(format!(
                "start: {declared:?} declared, {:?} found",
                found.deliver_policy
            ));
        }
        if found.deliver_subject.is_some() {
            lost.push("deliver subject: a pull consumer is needed and a push consumer found".into());
        }
        lost
    }

    /// A consumer never goes back: of what its filter did not have it gets what is stored from now on.
    fn report_added(&self, before: &Info) {
        let had = filters(&before.config);
        let added: Vec<_> = self
            .filters
            .iter()
            .filter(|filter| !had.contains(filter))
            .collect();
        if added.is_empty() {
            return;
        }
        tracing::warn!(
            stream = %self.stream,
            consumer = %self.name,
            ?added,
            up_to = before.delivered.stream_sequence,
            "the durable takes more than before, and gets of it what comes behind the message that it had last; to handle \
             what is stored before, give it to a durable of another name"
        );
    }

    fn differs(&self, differences: Vec<String>) -> StartError {
        StartError::ConsumerDiffers {
            stream: self.stream.clone(),
            consumer: self.name.clone(),
            differences,
        }
    }
}

fn deliver_policy(start: Start) -> DeliverPolicy {
    match start {
        Start::Now => DeliverPolicy::New,
        Start::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
        // A time that the client cannot express is before everything.
        Start::Time(time) => parse_rfc3339(&time.to_string()).map_or(DeliverPolicy::All, |start_time| {
            DeliverPolicy::ByStartTime { start_time }
        }),
        _ => DeliverPolicy::All,
    }
}

fn filters(config: &Config) -> Vec<String> {
    if config.filter_subject.is_empty() {
        config.filter_subjects.clone()
    } else {
        vec![config.filter_subject.clone()]
    }
}

fn same(wanted: &pull::Config, found: &Config) -> bool {
    let mut wanted_filters = wanted.filter_subjects.clone();
    let mut found_filters = filters(found);
    wanted_filters.sort();
    found_filters.sort();
    let has = |metadata: &HashMap<String, String>| {
        wanted
            .metadata
            .iter()
            .all(|(name, value)| metadata.get(name) == Some(value))
    };
    wanted_filters == found_filters
        && wanted.ack_wait <= found.ack_wait
        && wanted.max_deliver == found.max_deliver
        && wanted.max_ack_pending == found.max_ack_pending
        && found.backoff.is_empty()
        && found.max_batch == 0
        && found.max_bytes == 0
        && found.max_expires.is_zero()
        && wanted.priority_policy == found.priority_policy
        && wanted.priority_groups == found.priority_groups
        && (wanted.priority_groups.is_empty() || wanted.priority_timeout == found.priority_timeout)
        && has(&found.metadata)
}
