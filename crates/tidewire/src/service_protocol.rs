//! The NATS services protocol: PING, INFO and STATS for whoever asks.
//!
//! See [ADR-32](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md). The client's own
//! implementation cannot answer a request with an error and a body at once, which our error answers need.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tidewire_core::{ErrorBody, Timestamp};

use crate::{
    clock,
    hearing::{Heard, Hearing},
    start_error::StartError,
    wiring::Wiring,
};

/// What the protocol asks for.
pub(crate) const VERBS: [&str; 3] = ["PING", "INFO", "STATS"];

/// What one instance says of itself.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) endpoints: Vec<Endpoint>,
    started: Timestamp,
}

/// One command or query.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The message's name with dashes for dots: the protocol allows no dots.
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) queue_group: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) stats: Arc<EndpointStats>,
}

/// What an endpoint did since the service started.
#[derive(Debug, Default)]
pub(crate) struct EndpointStats {
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    last_error: Mutex<String>,
}

impl EndpointStats {
    pub(crate) fn handled(&self, took: Duration, error: Option<&ErrorBody>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(error) = error {
            self.errors.fetch_add(1, Ordering::Relaxed);
            let text = format!("{}:{}", error.code, error.message);
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }
}

/// The parts that every answer has.
#[derive(Serialize)]
struct Identity<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    id: &'a str,
    version: &'a str,
    metadata: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    identity: Identity<'a>,
    description: &'static str,
    endpoints: Vec<EndpointInfo<'a>>,
}

#[derive(Serialize)]
struct EndpointInfo<'a> {
    name: &'a str,
    subject: &'a str,
    queue_group: &'a str,
    metadata: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Stats<'a> {
    #[serde(flatten)]
    identity: Identity<'a>,
    started: Timestamp,
    endpoints: Vec<EndpointFigures<'a>>,
}

#[derive(Serialize)]
struct EndpointFigures<'a> {
    name: &'a str,
    subject: &'a str,
    queue_group: &'a str,
    num_requests: u64,
    num_errors: u64,
    last_error: String,
    processing_time: u64,
    average_processing_time: u64,
    /// Nothing of ours; some clients want the field.
    data: (),
}

impl Instance {
    pub(crate) fn new(name: &str, id: String, version: &str, endpoints: Vec<Endpoint>) -> Self {
        Self {
            name: name.into(),
            id,
            version: version.into(),
            endpoints,
            started: clock::now(),
        }
    }

    /// Subscribes to what the protocol asks on.
    pub(crate) async fn subscribe(&self, wiring: &Wiring) -> Result<Hearing, StartError> {
        let subjects = VERBS.into_iter().flat_map(|verb| {
            let one = format!("$SRV.{verb}.{}", self.name);
            [format!("$SRV.{verb}"), one.clone(), format!("{one}.{}", self.id)]
        });
        let heard = subjects.map(|subject| Heard {
            subject,
            queue_group: None,
        });
        let questions = Hearing::begin(wiring, heard.collect()).await;
        questions.map_err(StartError::connection)
    }

    /// Answers until the service stops.
    pub(crate) async fn answer(self, wiring: Wiring, mut questions: Hearing) {
        loop {
            let question = tokio::select! {
                () = wiring.stop.cancelled() => return,
                question = questions.next() => question,
            };
            let Some(question) = question else { return };
            let Some(inbox) = question.reply else { continue };
            let answer = match question.subject.split('.').nth(1) {
                Some("PING") => serde_json::to_vec(&self.identity("io.nats.micro.v1.ping_response")),
                Some("INFO") => serde_json::to_vec(&self.info()),
                _ => serde_json::to_vec(&self.stats()),
            };
            let Ok(answer) = answer else { continue };
            if let Err(error) = wiring.sender.client().publish(inbox, answer.into()).await {
                tracing::warn!(%error, "a question about this service could not be answered");
            }
        }
    }

    fn identity(&self, kind: &'static str) -> Identity<'_> {
        let metadata = BTreeMap::from([("tidewire.contract", tidewire_core::wire::CONTRACT)]);
        Identity {
            kind,
            name: &self.name,
            id: &self.id,
            version: &self.version,
            metadata,
        }
    }

    fn info(&self) -> Info<'_> {
        let endpoints = self.endpoints.iter().map(|endpoint| EndpointInfo {
            name: &endpoint.name,
            subject: &endpoint.subject,
            queue_group: &endpoint.queue_group,
            metadata: &endpoint.metadata,
        });
        Info {
            identity: self.identity("io.nats.micro.v1.info_response"),
            description: "a Tidewire service",
            endpoints: endpoints.collect(),
        }
    }

    fn stats(&self) -> Stats<'_> {
        let endpoints = self.endpoints.iter().map(|endpoint| {
            let stats = &endpoint.stats;
            let requests = stats.requests.load(Ordering::Relaxed);
            let nanos = stats.nanos.load(Ordering::Relaxed);
            EndpointFigures {
                name: &endpoint.name,
                subject: &endpoint.subject,
                queue_group: &endpoint.queue_group,
                num_requests: requests,
                num_errors: stats.errors.load(Ordering::Relaxed),
                last_error: stats
                    .last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
                processing_time: nanos,
                average_processing_time: nanos.checked_div(requests).unwrap_or(0),
                data: (),
            }
        });
        Stats {
            identity: self.identity("io.nats.micro.v1.stats_response"),
            started: self.started,
            endpoints: endpoints.collect(),
        }
    }
}
