//! Streams that store a subject, and consumers that read it there.

use serde::Serialize;
use tidewire::{
    Connection, PolicyManifest, Transport,
    async_nats::jetstream::{
        consumer::{AckPolicy, DeliverPolicy, Info},
        stream::{self, Config},
    },
    wire,
};

use super::lets_through;
use crate::{api, error::OpsError, manifests::Manifests};

/// A stream that stores the subject.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Captured {
    /// The stream.
    pub stream: String,
    /// The first of its subjects that lets the asked one through.
    pub by: String,
    /// How many messages it has, of whatever subject.
    pub messages: u64,
    /// Its consumers that read the subject.
    pub consumers: Vec<ConsumerView>,
}

/// A consumer that reads the subject.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConsumerView {
    /// The consumer.
    pub name: String,
    /// Whose it is, by its metadata; `None` where it is not Tidewire's.
    pub owner: Option<Reader>,
    /// The filter that lets the subject through; `None` where it reads the whole stream.
    pub filter: Option<String>,
    /// `explicit`, `all`, `none` or `flow control`.
    pub ack: &'static str,
    /// Seconds until an unacknowledged message is delivered again.
    pub ack_wait_seconds: f64,
    /// How often a message is delivered at most; `None` without a limit.
    pub max_deliver: Option<i64>,
    /// Where it began.
    pub start: String,
    /// Whether messages are pushed to it instead of pulled by it.
    pub push: bool,
    /// How many messages wait for it, of whatever subject it reads.
    pub pending: u64,
    /// How many messages it has not acknowledged yet.
    pub unacknowledged: usize,
    /// Whether it is paused.
    pub paused: bool,
    /// What its service does with messages that fail; `None` where no manifest tells.
    pub policy: Option<PolicyManifest>,
}

/// A durable handler of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reader {
    /// The service.
    pub service: String,
    /// The durable's name in it.
    pub durable: String,
}

/// A stream that takes copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Copied {
    /// The stream.
    pub stream: String,
    /// The stream that it copies, by `sources` or as a mirror.
    pub from: String,
    /// Whether the copies have other subjects.
    pub transformed: bool,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) jetstream: bool,
    pub(super) captured: Vec<Captured>,
    pub(super) missing: Vec<Reader>,
    pub(super) copied: Vec<Copied>,
}

pub(super) async fn find(nats: &Connection, manifests: &Manifests, subject: &str) -> Result<Found, OpsError> {
    let (jetstream, streams) = match api::streams(nats).await {
        Ok(streams) => (true, streams),
        Err(OpsError::JetStream { source, .. }) if api::is_without_jetstream(&*source) => (false, Vec::new()),
        Err(error) => return Err(error),
    };
    let mut captured = Vec::new();
    for stream in &streams {
        let config = &stream.config;
        let Some(by) = config.subjects.iter().find(|by| lets_through(by, subject)) else {
            continue;
        };
        let consumers = api::consumers(nats, &config.name).await?;
        captured.push(Captured {
            stream: config.name.clone(),
            by: by.clone(),
            messages: stream.state.messages,
            consumers: consumers
                .iter()
                .filter_map(|info| ConsumerView::of(info, subject, manifests))
                .collect(),
        });
    }
    let copied = streams
        .iter()
        .flat_map(|stream| copies(stream, &captured))
        .collect();
    Ok(Found {
        jetstream,
        missing: missing(manifests, &captured, subject),
        copied,
        captured,
    })
}

impl ConsumerView {
    /// `None` where it does not read the subject.
    fn of(info: &Info, subject: &str, manifests: &Manifests) -> Option<Self> {
        let config = &info.config;
        let filters = api::filters(config);
        let filter = filters
            .iter()
            .find(|filter| lets_through(filter, subject))
            .cloned();
        if filter.is_none() && !filters.is_empty() {
            return None;
        }
        let owner = config
            .metadata
            .get(wire::META_SERVICE)
            .zip(config.metadata.get(wire::META_HANDLER));
        Some(Self {
            name: info.name.clone(),
            owner: owner.map(|(service, durable)| Reader {
                service: service.clone(),
                durable: durable.clone(),
            }),
            filter,
            ack: match config.ack_policy {
                AckPolicy::Explicit => "explicit",
                AckPolicy::All => "all",
                AckPolicy::None => "none",
                AckPolicy::FlowControl => "flow control",
            },
            ack_wait_seconds: config.ack_wait.as_secs_f64(),
            max_deliver: (config.max_deliver > 0).then_some(config.max_deliver),
            start: start(config.deliver_policy),
            push: config.deliver_subject.is_some(),
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending,
            paused: info.paused,
            policy: policy(manifests, &info.name),
        })
    }
}

/// What the manifests say of a consumer's handler.
fn policy(manifests: &Manifests, name: &str) -> Option<PolicyManifest> {
    let handlers = manifests.understood().flat_map(|manifest| &manifest.handlers);
    handlers.into_iter().find_map(|handler| match &handler.transport {
        Transport::Durable { consumer, policy, .. } if consumer == name => {
            Some(PolicyManifest::clone(policy))
        }
        _ => None,
    })
}

fn start(policy: DeliverPolicy) -> String {
    match policy {
        DeliverPolicy::All => "the beginning".into(),
        DeliverPolicy::Last => "the last message".into(),
        DeliverPolicy::New => "what came after it was made".into(),
        DeliverPolicy::ByStartSequence { start_sequence } => format!("sequence {start_sequence}"),
        DeliverPolicy::ByStartTime { start_time } => api::time(start_time).to_string(),
        DeliverPolicy::LastPerSubject => "the last message of each subject".into(),
    }
}

/// Durable handlers that should read the subject and have no consumer that does.
fn missing(manifests: &Manifests, captured: &[Captured], subject: &str) -> Vec<Reader> {
    let mut missing = Vec::new();
    for manifest in manifests.understood() {
        for handler in &manifest.handlers {
            let Transport::Durable {
                consumer, filters, ..
            } = &handler.transport
            else {
                continue;
            };
            let there = || {
                let mut consumers = captured.iter().flat_map(|stream| &stream.consumers);
                consumers.any(|found| found.name == *consumer)
            };
            if filters.iter().any(|filter| lets_through(filter, subject)) && !there() {
                missing.push(Reader {
                    service: manifest.service.clone(),
                    durable: handler.name.clone(),
                });
            }
        }
    }
    missing
}

fn copies(stream: &stream::Info, captured: &[Captured]) -> Vec<Copied> {
    let Config {
        name,
        mirror,
        sources,
        ..
    } = &stream.config;
    let origins = mirror.iter().chain(sources.iter().flatten());
    origins
        .filter(|origin| captured.iter().any(|stream| stream.stream == origin.name))
        .map(|origin| Copied {
            stream: name.clone(),
            from: origin.name.clone(),
            transformed: !origin.subject_transforms.is_empty() || stream.config.subject_transform.is_some(),
        })
        .collect()
}
