//! What a service is, as plain data.

use std::{collections::BTreeMap, time::Duration};

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventMessage, Kind, Message, MessageType, RequestMessage, Retry, Then, Timestamp, seconds};

/// Everything that a service's declaration says: what it hears, what it sends, and the streams it owns.
///
/// Kept in git as a reviewed file, it makes a contract that changes unseen fail a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The service's name.
    pub service: String,
    /// The service's version.
    pub version: String,
    /// The wire contract that it speaks.
    pub contract: String,
    /// The sizes that it declares, in bytes: `compress_above`, `claim_check_above` and `body_limit`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, usize>,
    /// The contexts whose streams this service keeps.
    pub contexts: Vec<ContextManifest>,
    /// What it handles, in the order of declaration.
    pub handlers: Vec<HandlerManifest>,
    /// Events that its bus may publish, beside what handlers emit.
    pub publishes: Vec<String>,
    /// Commands and queries that its bus may ask, beside what handlers ask.
    pub asks: Vec<String>,
    /// Durable commands that its bus may send, beside what handlers dispatch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sends: Vec<String>,
    /// Whether what it sends is held against its schema.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub validates_sent: bool,
    /// Whether what it receives is held against its schema.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub validates_received: bool,
    /// The contract of every message named above, by name.
    pub messages: BTreeMap<String, MessageManifest>,
}

/// A context and the stream of its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContextManifest {
    /// `<domain>[.v<major>].<context>`.
    pub name: String,
    /// The stream's name.
    pub stream: String,
    /// What this service adds to the stream's subjects.
    pub subjects: Vec<String>,
    /// What this service adds to the subjects of the context's queue: the durable commands that it works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<String>,
    /// The settings that were declared, by name.
    pub settings: BTreeMap<String, Value>,
}

/// One handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandlerManifest {
    /// The durable's name, or the name of the message that is answered or watched.
    pub name: String,
    /// The names of the messages that it takes; empty where it takes whatever its filter matches.
    pub takes: Vec<String>,
    /// The versions that it reads, oldest first, of those messages that it reads in more than one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, Vec<u32>>,
    /// The names of the events that it may emit.
    pub emits: Vec<String>,
    /// The names of the commands and queries that it may ask.
    pub asks: Vec<String>,
    /// The names of the durable commands that it may dispatch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sends: Vec<String>,
    /// The types of the layers around it, in the order in which a message meets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// How messages reach it.
    pub transport: Transport,
}

/// How messages reach a handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transport {
    /// From a stream through a durable consumer: at least once.
    Durable {
        /// The consumer's name on every stream that it reads.
        consumer: String,
        /// The subjects that it reads.
        filters: Vec<String>,
        /// Where a new consumer begins.
        start: Start,
        /// How many messages are handled at once.
        concurrency: usize,
        /// What becomes of messages that fail, and what holds them back.
        #[serde(default)]
        policy: Box<PolicyManifest>,
    },
    /// From core NATS: at most once, and only while the service runs.
    Live {
        /// The subjects that it hears.
        filters: Vec<String>,
        /// The group whose members share the messages; without one every instance gets each.
        queue_group: Option<String>,
    },
    /// A NATS service endpoint: the caller waits for the answer.
    Request {
        /// Command or query.
        kind: Kind,
        /// The endpoint's subject.
        subject: String,
    },
}

/// What a durable does with messages that fail, and what holds messages back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyManifest {
    /// What is promised of each message.
    pub quality: Quality,
    /// Whether events of one key are handled one after the other, over all instances.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered_by_key: bool,
    /// How a message that failed is tried again.
    pub retry: Retry,
    /// What follows from errors of some types instead; the first that matches wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleManifest>,
    /// How long one run may take.
    #[serde(with = "seconds")]
    pub time_limit: Duration,
    /// After how long without a sign of life a message is delivered to another instance.
    #[serde(with = "seconds")]
    pub ack_wait: Duration,
    /// The breaker that stops it; one of another name than the durable's is shared.
    pub breaker: String,
    /// The most that each instance handles in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateManifest>,
    /// The most at once among all handlers of an instance that share the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<usize>,
}

/// What is promised of each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quality {
    /// It is handled once or more often.
    #[default]
    AtLeastOnce,
    /// It is handled once or more often, and what the handler sends has one effect.
    EffectivelyOnce,
}

/// A rule for errors of one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleManifest {
    /// The error's type.
    pub error: String,
    /// What follows from it.
    pub then: Then,
}

/// A limit of messages in a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateManifest {
    /// So many messages.
    pub messages: u32,
    /// In so long.
    #[serde(with = "seconds")]
    pub per: Duration,
}

impl Default for PolicyManifest {
    fn default() -> Self {
        Self {
            quality: Quality::default(),
            ordered_by_key: false,
            retry: Retry::default(),
            rules: Vec::new(),
            time_limit: Duration::from_secs(300),
            ack_wait: Duration::from_secs(30),
            breaker: String::new(),
            rate: None,
            bulkhead: None,
        }
    }
}

/// Where a durable consumer begins when it is made; afterwards it goes on where it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Start {
    /// At the first message that the stream still has.
    #[default]
    Beginning,
    /// At the first message that is stored after the consumer was made. If somebody deletes the consumer while the service runs, it goes on
    /// at the place where it was last seen, and not at what comes then.
    Now,
    /// At this sequence of the stream.
    Sequence(u64),
    /// At the first message that was stored at this time or later.
    Time(Timestamp),
}

/// The contract of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageManifest {
    /// Event, command or query.
    pub kind: Kind,
    /// The revision of its data.
    pub version: u32,
    /// Whether its subject ends in a key.
    pub keyed: bool,
    /// The entity to whose history it belongs, where it is an event of a family: only the event store appends it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The media type of its data, where that is not JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// The JSON Schema of its data, as this service reads it.
    pub schema: Value,
    /// The older versions that are read too, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<OlderManifest>,
    /// The JSON Schema of the answer, for commands and queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
}

/// An older version of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OlderManifest {
    /// The revision of its data.
    pub version: u32,
    /// What is known of it.
    #[serde(flatten)]
    pub form: OlderForm,
}

/// What is known of an older version of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OlderForm {
    /// It has a type: the JSON Schema of its data.
    Schema(Value),
    /// The JSON patch (RFC 6902) that makes its data that of the next version.
    Patch(Value),
}

impl MessageManifest {
    /// The contract of an event.
    pub fn event<E: EventMessage>() -> Self {
        Self {
            entity: E::ENTITY.map(str::to_owned),
            ..Self::new::<E>(None)
        }
    }

    /// The contract of a command or query, with that of its answer.
    pub fn request<M: RequestMessage>() -> Self {
        Self::new::<M>(Some(schema::<M::Reply>()))
    }

    fn new<M: Message>(reply: Option<Value>) -> Self {
        let MessageType {
            kind, version, keyed, ..
        } = M::TYPE;
        Self {
            kind,
            version,
            keyed,
            entity: None,
            codec: M::CODEC.map(|codec| codec.media_type().to_owned()),
            schema: schema::<M>(),
            older: M::older().manifest(),
            reply,
        }
    }

    /// The versions that are read, oldest first.
    pub fn versions(&self) -> Vec<u32> {
        let older = self.older.iter().map(|older| older.version);
        older.chain([self.version]).collect()
    }
}

pub(crate) fn schema<T: JsonSchema>() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12())
        .into_root_schema_for::<T>()
        .to_value()
}
