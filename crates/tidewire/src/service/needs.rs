//! What a start needs the server to allow, where no call of its own hears that it does not.

use std::collections::BTreeSet;

use tidewire_core::wire;

use super::{Service, start::filters};
use crate::{
    connection::{Connection, Operation, Refusal},
    depth,
    route::Carrier,
    service_protocol::VERBS,
};

/// What one service hears, and what it asks of JetStream about its own streams and consumers. Other services may start on
/// the same connection, and what is refused to them is theirs.
#[derive(Debug)]
pub(super) struct Needs {
    heard: BTreeSet<String>,
    /// What an instance hears under its own name begins so.
    heard_by_one: Vec<String>,
    /// What its consumers are called, one for each durable.
    consumers: BTreeSet<String>,
    streams: Vec<String>,
}

impl Needs {
    pub(super) fn of<S>(service: &Service<S>) -> Self {
        let name = &service.name;
        let (durables, heard): (Vec<_>, Vec<_>) = service
            .routes
            .iter()
            .partition(|route| matches!(route.carrier, Carrier::Durable(_)));
        let all = VERBS.map(|verb| format!("$SRV.{verb}"));
        let ours = VERBS.map(|verb| format!("$SRV.{verb}.{name}"));
        let buckets = [
            wire::runs_bucket(name),
            wire::inbox_bucket(name),
            wire::service_leases_bucket(name),
        ];
        Self {
            heard_by_one: ours.iter().map(|ours| format!("{ours}.")).collect(),
            heard: heard
                .into_iter()
                .flat_map(filters)
                .chain(all)
                .chain(ours)
                .chain([wire::operation_subject(name, "*")])
                .collect(),
            consumers: durables
                .iter()
                .map(|route| wire::consumer_name(name, &route.name))
                .collect(),
            streams: buckets
                .iter()
                .map(|bucket| format!("KV_{bucket}"))
                .chain([wire::service_stream(name)])
                .collect(),
        }
    }

    /// Whether this start fails by it.
    pub(super) fn concerns(&self, nats: &Connection, refusal: &Refusal) -> bool {
        if refusal.operation == Operation::Subscribe {
            let subject = &refusal.subject;
            return nats.is_inbox(subject)
                || self.heard.contains(subject)
                || self.heard_by_one.iter().any(|one| subject.starts_with(one));
        }
        nats.question(refusal).is_some_and(|question| self.asks(question))
    }

    fn asks(&self, question: &str) -> bool {
        let is_ours = |stream: &&str| self.streams.iter().any(|ours| ours == stream);
        let tokens: Vec<_> = question.split('.').collect();
        match tokens.as_slice() {
            ["CONSUMER", "MSG" | "DURABLE", _, _, consumer, ..] | ["CONSUMER", _, _, consumer, ..] => {
                self.consumers.contains(*consumer)
            }
            // Where it is refused nothing is measured, and all else goes on.
            ["STREAM", "MSG", _, stream] => is_ours(stream) && !depth::is_measuring(question),
            ["STREAM", _, stream] | ["DIRECT", "GET", stream, ..] => is_ours(stream),
            _ => false,
        }
    }
}
