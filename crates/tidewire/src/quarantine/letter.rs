//! The dead letter of a poison.

use std::time::Duration;

use tidewire_core::{
    BoxError,
    dead_letter::{Act, LetterId, Original, OriginalHeaders, Record, Trouble},
    wire,
};
use tokio::time::timeout;

use super::{Poison, StoredMessage, read};
use crate::{
    clock,
    connection::Connection,
    consumer::{ConsumerSpec, Desk},
    delivery::StoredAt,
};

/// The class of such a letter.
const CLASS: &str = "poison";
/// No handler has seen it.
const ATTEMPTS: u32 = 0;
/// How long storing may take; longer than it takes to find out why it does not work, which readiness then says.
const STORED_WITHIN: Duration = Duration::from_secs(60);

/// Stores the message as the first record of its letter, and returns once the stream has confirmed it. Where that does not
/// work it is told as of any other letter.
pub(super) async fn store(
    nats: &Connection,
    spec: &ConsumerSpec,
    desk: &Desk,
    message: &StoredMessage,
    poison: Poison,
) -> Result<LetterId, BoxError> {
    let created = read::created(nats, &spec.stream).await?;
    let id = LetterId::of(&spec.stream, created, message.sequence);
    let now = clock::now();
    let record = Record {
        act: Act::Failed,
        by: desk.by.clone(),
        reason: None,
        consumer: spec.name.clone(),
        service_version: Some(desk.version.clone()),
        trouble: Some(Trouble {
            class: CLASS.into(),
            error: format!("no client can take it: {poison}"),
            chain: Vec::new(),
            attempts: ATTEMPTS,
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
    let subject = desk.letter_subject(&id);
    // Through the other connection: this one may be dying of the message.
    let letters = desk.letters.through(nats);
    let storing = timeout(STORED_WITHIN, letters.store(&subject, &id, &record, 0));
    match storing.await.map_err(BoxError::from).flatten() {
        Ok(stored) => {
            desk.letters.accepted(desk.durable());
            // A record that is there already is of an earlier look, or of another instance.
            if stored.is_some() {
                desk.counts.stored(CLASS);
            }
            Ok(id)
        }
        Err(error) => {
            let stored = StoredAt {
                stream: spec.stream.as_str().into(),
                sequence: message.sequence,
                time: message.time,
            };
            if desk.report_not_stored(&error, ATTEMPTS, &message.without_headers(), &stored, &id) {
                let (stream, sequence, subject) = (&*spec.stream, message.sequence, &*message.subject);
                tracing::error!(stream, sequence, subject, %error, %poison,
                    "no client can take this message, and it could not be put into {}; it stays where it is, and \
                     is tried again", wire::DLQ_STREAM);
            }
            // As a text: a look that is refused waits for another connection, and this is tried again.
            Err(error.to_string().into())
        }
    }
}
