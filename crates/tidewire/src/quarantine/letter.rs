//! The dead letter of a poison.

use std::time::Duration;

use tidewire_core::{
    BoxError,
    dead_letter::{Act, LetterId, Original, OriginalHeaders, Record, Trouble},
    wire,
};
use tokio::time::timeout;

use super::{Poison, Quarantine, StoredMessage, read};
use crate::{clock, connection::Connection, consumer::ConsumerSpec, letters::Letters, metrics};

/// The class of such a letter.
const CLASS: &str = "poison";
/// How long storing may take.
const STORED_WITHIN: Duration = Duration::from_secs(15);

/// Stores the message as the first record of its letter, and returns once the stream has confirmed it.
pub(super) async fn store(
    nats: &Connection,
    who: &Quarantine,
    spec: &ConsumerSpec,
    message: &StoredMessage,
    poison: Poison,
) -> Result<LetterId, BoxError> {
    let created = read::created(nats, &spec.stream).await?;
    let id = LetterId::of(&spec.stream, created, message.sequence);
    let now = clock::now();
    let record = Record {
        act: Act::Failed,
        by: who.service.clone(),
        reason: None,
        consumer: spec.name.clone(),
        service_version: Some(who.version.clone()),
        trouble: Some(Trouble {
            class: CLASS.into(),
            error: format!("no client can take it: {poison}"),
            chain: Vec::new(),
            // No handler has seen it.
            attempts: 0,
            first_failed: now,
            last_failed: now,
            traceparent: None,
        }),
        original: Some(Original {
            stream: spec.stream.clone(),
            created,
            sequence: message.sequence,
            stored: message.time,
            subject: message.subject.clone(),
            headers: OriginalHeaders::Broken(message.headers.clone()),
            payload: message.payload.clone(),
        }),
    };
    let subject = wire::letter_subject(&spec.service, &spec.durable, id.as_str());
    // Through the other connection: this one may be dying of the message.
    let letters = Letters::new(nats.clone(), who.replicas, who.wiring.health.clone());
    let storing = letters.store(&subject, &id, &record, 0);
    let stored = nats.refusals().or_refused(
        |refusal| refusal.subject.starts_with("dlq.") || refusal.subject.contains("TIDEWIRE_"),
        timeout(STORED_WITHIN, storing),
    );
    // A record that is there already is of an earlier look, or of another instance.
    if stored.await???.is_some() {
        metrics::Letters::of(&spec.service, &spec.name).stored(CLASS);
    }
    Ok(id)
}
