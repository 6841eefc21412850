//! Who gets what is published to a subject, and how.

mod grammar;
mod readers;

use serde::Serialize;
use tidewire::{Connection, Kind, SubjectFilter, Transport, real_subject_or_own, wire};

use crate::{
    error::OpsError,
    instances::{Instance, instances},
    manifests::Manifests,
};
pub use grammar::Grammar;
pub use readers::{Captured, ConsumerView, Copied, Reader};

/// Everything that happens to a message on one subject, as far as the server, the manifests and the running services
/// say.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The subject that was asked for.
    pub subject: String,
    /// What the grammar makes of it.
    pub grammar: Grammar,
    /// The services that send it, by their manifests.
    pub senders: Vec<String>,
    /// Whether there is JetStream here; without it nothing is stored.
    pub jetstream: bool,
    /// The streams that store it, and who reads it there.
    pub captured: Vec<Captured>,
    /// Where it is a command: the queues that store it when it is sent as a durable one, and who works it there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<Captured>,
    /// Durable handlers that a manifest declares for it and that have no consumer on those streams.
    pub missing: Vec<Reader>,
    /// Streams that take copies from those streams.
    pub copied: Vec<Copied>,
    /// Live handlers that hear it.
    pub listeners: Vec<Listener>,
    /// Endpoints that answer it.
    pub endpoints: Vec<Endpoint>,
    /// What is wrong with it, if anything is.
    pub fault: Option<Fault>,
}

/// A handler that hears the subject while its service runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listener {
    /// Its service.
    pub service: String,
    /// What it is called in the manifest.
    pub handler: String,
    /// The filter that lets the subject through.
    pub filter: String,
    /// The group whose members share the messages; without one every instance gets each.
    pub queue_group: Option<String>,
    /// How many instances of the service run.
    pub instances: usize,
}

/// An endpoint that answers the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its service.
    pub service: String,
    /// What it hears.
    pub subject: String,
    /// Command or query; `None` where the service is not ours.
    pub kind: Option<String>,
    /// The group whose members share the requests.
    pub queue_group: String,
    /// How many instances of the service run; none where only the manifest tells of it.
    pub instances: usize,
}

/// What is wrong with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Nothing stores it and nobody who runs hears it.
    Nobody,
    /// It is a command or query, and no endpoint that runs answers it.
    Unanswered,
    /// It is a command or query, and a stream that captures it answers the caller with its own ack.
    Captured,
}

impl Explanation {
    fn fault(&self) -> Option<Fault> {
        let is_request = matches!(
            self.grammar,
            Grammar::Message {
                kind: Some(Kind::Command | Kind::Query),
                ..
            }
        );
        // In a queue a command is where it belongs.
        let is_request = is_request && !is_queued(&self.subject);
        let is_heard = self.listeners.iter().any(|listener| listener.instances > 0);
        if self.captured.is_empty() && self.queued.is_empty() && !is_heard && !self.is_answered() {
            return Some(Fault::Nobody);
        }
        // A command that is worked from its queue need not be answered as well.
        if self.captured.is_empty() && !self.queued.is_empty() && self.endpoints.is_empty() {
            return None;
        }
        match (is_request, self.captured.is_empty()) {
            (true, false) => Some(Fault::Captured),
            (true, true) if !self.is_answered() => Some(Fault::Unanswered),
            _ => None,
        }
    }

    /// Whether an endpoint that runs answers it.
    pub fn is_answered(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.instances > 0)
    }
}

/// Says who gets a message on `subject`.
///
/// Subscriptions of programs that are neither a service nor a consumer cannot be seen: the server tells them to nobody.
///
/// # Errors
/// [`OpsError::Filter`] or [`OpsError::NotOneSubject`] where the server would not take a message there; otherwise what
/// could not be asked.
pub async fn explain(
    nats: &Connection,
    manifests: &Manifests,
    subject: &str,
) -> Result<Explanation, OpsError> {
    let filter = SubjectFilter::parse(subject).map_err(|error| OpsError::Filter(error.to_string()))?;
    if !filter.is_literal() {
        return Err(OpsError::NotOneSubject {
            filter: subject.to_owned(),
        });
    }
    let running = instances(nats).await?;
    let mut found = readers::find(nats, manifests, subject).await?;
    let own = real_subject_or_own(subject, None);
    let grammar = Grammar::of(own, manifests);
    let mut queued = Vec::new();
    if own == subject && grammar.may_be_a_command() {
        let queue = readers::find(nats, manifests, &wire::queue_subject(subject)).await?;
        queued = queue.captured;
        found.missing.extend(queue.missing);
        found.copied.extend(queue.copied);
    }
    let mut explanation = Explanation {
        subject: subject.to_owned(),
        senders: senders(manifests, &grammar),
        grammar,
        jetstream: found.jetstream,
        captured: found.captured,
        queued,
        missing: found.missing,
        copied: found.copied,
        listeners: listeners(manifests, &running, subject),
        endpoints: endpoints(manifests, &running, subject),
        fault: None,
    };
    explanation.fault = explanation.fault();
    Ok(explanation)
}

/// Whether it is the subject of a durable command in its queue.
fn is_queued(subject: &str) -> bool {
    real_subject_or_own(subject, None) != subject
}

/// Whether a filter, as a server or a manifest gives it, lets a subject through.
pub(crate) fn lets_through(filter: &str, subject: &str) -> bool {
    SubjectFilter::parse(filter).is_ok_and(|filter| filter.matches(subject))
}

fn count(running: &[Instance], service: &str) -> usize {
    running.iter().filter(|instance| instance.name == service).count()
}

fn senders(manifests: &Manifests, grammar: &Grammar) -> Vec<String> {
    let Grammar::Message { name, .. } = grammar else {
        return Vec::new();
    };
    let sends = manifests.understood().filter(|manifest| {
        let handlers = manifest
            .handlers
            .iter()
            .flat_map(|handler| handler.emits.iter().chain(&handler.asks).chain(&handler.sends));
        handlers
            .chain(&manifest.publishes)
            .chain(&manifest.asks)
            .chain(&manifest.sends)
            .any(|sent| sent == name)
    });
    sends.map(|manifest| manifest.service.clone()).collect()
}

fn listeners(manifests: &Manifests, running: &[Instance], subject: &str) -> Vec<Listener> {
    let mut found = Vec::new();
    for manifest in manifests.understood() {
        for handler in &manifest.handlers {
            let Transport::Live { filters, queue_group } = &handler.transport else {
                continue;
            };
            if let Some(filter) = filters.iter().find(|filter| lets_through(filter, subject)) {
                found.push(Listener {
                    service: manifest.service.clone(),
                    handler: handler.name.clone(),
                    filter: filter.clone(),
                    queue_group: queue_group.clone(),
                    instances: count(running, &manifest.service),
                });
            }
        }
    }
    found
}

/// What runs says itself what it answers; a manifest tells of services that do not run.
fn endpoints(manifests: &Manifests, running: &[Instance], subject: &str) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    for instance in running {
        for endpoint in &instance.endpoints {
            if !lets_through(&endpoint.subject, subject) {
                continue;
            }
            let same = found
                .iter_mut()
                .find(|other| other.service == instance.name && other.subject == endpoint.subject);
            if let Some(same) = same {
                same.instances += 1;
                continue;
            }
            let metadata = endpoint.metadata.as_ref();
            found.push(Endpoint {
                service: instance.name.clone(),
                subject: endpoint.subject.clone(),
                kind: metadata.and_then(|metadata| metadata.get("tidewire.kind").cloned()),
                queue_group: endpoint.queue_group.clone(),
                instances: 1,
            });
        }
    }
    for manifest in manifests.understood() {
        let requests = manifest
            .handlers
            .iter()
            .filter_map(|handler| match &handler.transport {
                Transport::Request { kind, subject } => Some((kind, subject)),
                _ => None,
            });
        for (kind, own) in requests.filter(|(_, own)| lets_through(own, subject)) {
            if count(running, &manifest.service) == 0 {
                found.push(absent(&manifest.service, *kind, own));
            }
        }
    }
    found
}

fn absent(service: &str, kind: Kind, subject: &str) -> Endpoint {
    Endpoint {
        service: service.to_owned(),
        subject: subject.to_owned(),
        kind: Some(kind.to_string()),
        queue_group: service.to_owned(),
        instances: 0,
    }
}
