//! A context: the events and durable commands that belong together, and the streams that keep them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

/// A context whose stream a service keeps: the stream is made when the service starts, and gains the subjects of the
/// events that the service declares.
///
/// Where a durable handler of the service works a command of the context, the context has a second stream, its queue. It
/// has the same settings but its own age.
///
/// Nobody can delete its messages or purge them, and the server never lets go of that: `deny_delete` and `deny_purge` are
/// set, also on a stream that exists. It refuses what is new when it is full, and gives single messages directly.
///
/// Settings that are not given are the stream's: its own where it exists, else the default named at each. Settings may
/// grow from one version of a service to the next; one that would shrink what is kept is refused at the start.
#[derive(Clone, Debug)]
#[must_use = "give it to `.context(…)`"]
pub struct Context {
    pub(crate) name: String,
    pub(crate) replicas: Option<usize>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_bytes: Option<i64>,
    pub(crate) duplicate_window: Option<Duration>,
    pub(crate) placement_tags: Vec<String>,
    pub(crate) contents: Contents,
    queue_max_age: Option<Duration>,
}

/// What the stream of a [`Context`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Contents {
    #[default]
    Events,
    /// Durable commands: the context's queue.
    Commands,
}

/// How long commands wait in a new queue: two weeks, for a receiver that is down over the holidays.
const QUEUE_AGE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

impl Context {
    /// The context `<domain>[.v<major>].<context>`, such as `orders.payments`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            replicas: None,
            max_age: None,
            max_bytes: None,
            duplicate_window: None,
            placement_tags: Vec::new(),
            contents: Contents::Events,
            queue_max_age: None,
        }
    }

    /// How many servers keep the stream: 1 (the default for a new stream), 3 or 5. Business data wants 3, on servers
    /// with `sync_interval: always`.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// How long events are kept; for ever by default.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// How long durable commands are kept in the context's queue, handled or not; 14 days by default. One that is not
    /// handled by then is gone.
    pub fn queue_max_age(mut self, age: Duration) -> Self {
        self.queue_max_age = Some(age);
        self
    }

    /// How many bytes of events are kept; unlimited by default. A full stream refuses new events: none that it has is
    /// dropped for them.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(i64::try_from(bytes).unwrap_or(i64::MAX));
        self
    }

    /// How long the stream recognises an id that it has stored; two minutes by default.
    pub fn duplicate_window(mut self, window: Duration) -> Self {
        self.duplicate_window = Some(window);
        self
    }

    /// The tags of the servers that may keep the stream; any server by default.
    pub fn placement_tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.placement_tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// The same context as its queue is declared.
    pub(crate) fn queue(&self) -> Self {
        Self {
            contents: Contents::Commands,
            max_age: self.queue_max_age,
            ..self.clone()
        }
    }

    /// The settings that were given, by name, for the manifest.
    pub(crate) fn settings(&self) -> BTreeMap<String, Value> {
        let given = [
            ("replicas", self.replicas.map(|n| json!(n))),
            (
                "max_age_seconds",
                self.max_age.map(|age| json!(age.as_secs_f64())),
            ),
            (
                "queue_max_age_seconds",
                self.queue_max_age.map(|age| json!(age.as_secs_f64())),
            ),
            ("max_bytes", self.max_bytes.map(|bytes| json!(bytes))),
            (
                "duplicate_window_seconds",
                self.duplicate_window.map(|window| json!(window.as_secs_f64())),
            ),
            (
                "placement_tags",
                (!self.placement_tags.is_empty()).then(|| json!(self.placement_tags)),
            ),
        ];
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

impl Contents {
    /// What they are called.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Commands => "durable commands",
        }
    }

    /// How long a new stream keeps them where nothing is said; zero is for ever.
    pub(crate) fn default_age(self) -> Duration {
        match self {
            Self::Events => Duration::ZERO,
            Self::Commands => QUEUE_AGE,
        }
    }
}
