//! Storing what could not be handled.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::jetstream::{message::StreamMessage, stream::LastRawMessageErrorKind};
use bytes::Bytes;
use tidewire_core::{
    BoxError,
    dead_letter::{Act, LetterId, Record},
    wire,
};

use crate::{
    connection::Connection, guarded::store, headers::header, health::Health, objects::read_object,
    service_streams,
};

/// The dead-letter stream, as a service writes it.
#[derive(Clone, Debug)]
pub(crate) struct Letters {
    nats: Connection,
    replicas: usize,
    health: Health,
    /// The durables whose last letter was refused.
    refused: Arc<Mutex<BTreeSet<String>>>,
}

/// The name by which a service that cannot store dead letters is not ready.
const CAUSE: &str = "dead-letters";

impl Letters {
    pub(crate) fn new(nats: Connection, replicas: usize, health: Health) -> Self {
        Self {
            nats,
            replicas,
            health,
            refused: Arc::default(),
        }
    }

    /// The same through another connection to the same place.
    pub(crate) fn through(&self, nats: &Connection) -> Self {
        Self {
            nats: nats.clone(),
            ..self.clone()
        }
    }

    /// Stores a record, whole, behind the one at `expected` (0 for the first) and awaits the confirmation; `None` where
    /// another record is there. While it does not work the service is not ready, by name.
    pub(crate) async fn store(
        &self,
        subject: &str,
        letter: &LetterId,
        record: &Record,
        expected: u64,
    ) -> Result<Option<u64>, BoxError> {
        // Boxed: the client's futures are large.
        let try_store = || Box::pin(self.try_store(subject, letter, record, expected));
        let mut stored = try_store().await;
        if stored.is_err() {
            // Somebody may have deleted the stream, or the bucket of what is too large for it.
            let ensuring = Box::pin(service_streams::ensure_letters(&self.nats, self.replicas));
            if let Err(error) = ensuring.await {
                tracing::debug!(%error, "the dead-letter stream cannot be made");
            } else {
                stored = try_store().await;
            }
        }
        match &stored {
            Ok(_) => self.health.recovers(CAUSE),
            Err(error) => self.health.ails(
                CAUSE,
                format!(
                    "dead letters cannot be stored in {}: {error}; their messages stay where they are, unacknowledged, and \
                     are stored once it is repaired (raise its limits, make it again where it is gone, or allow \
                     this user to publish to `{subject}`)",
                    wire::DLQ_STREAM
                ),
            ),
        }
        stored
    }

    /// A letter of `durable` could not be stored. Whether that is news: the one before it could.
    pub(crate) fn refused(&self, durable: &str) -> bool {
        self.refusals().insert(durable.to_owned())
    }

    /// A letter of `durable` is stored.
    pub(crate) fn accepted(&self, durable: &str) {
        self.refusals().remove(durable);
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_store(
        &self,
        subject: &str,
        letter: &LetterId,
        record: &Record,
        expected: u64,
    ) -> Result<Option<u64>, BoxError> {
        let client = self.nats.client();
        let mut written = record.write(client.max_payload());
        if written.oversized {
            let name = format!("{letter}-{expected}");
            self.put_object(&name, &written.body).await?;
            written.headers.push((wire::TW_OBJECT.into(), name));
            written.body = Bytes::new();
        }
        let expected = expected.to_string();
        let guards = [
            (wire::EXPECTED_STREAM, wire::DLQ_STREAM),
            (wire::EXPECTED_LAST_SUBJECT_SEQUENCE, &expected),
        ];
        let headers = written
            .headers
            .iter()
            .map(|(name, value)| (&**name, value.as_str()));
        store(&self.nats, subject, headers.chain(guards), written.body).await
    }

    /// Stores what is too large for a message.
    pub(crate) async fn put_object(&self, name: &str, body: &Bytes) -> Result<(), BoxError> {
        service_streams::ensure_letter_objects(&self.nats, self.replicas).await?;
        let bucket = self
            .nats
            .jetstream()
            .get_object_store(wire::LETTERS_BUCKET)
            .await?;
        bucket.put(name, &mut body.as_ref()).await?;
        Ok(())
    }

    /// Deletes an object that no message names any more; one that stays costs room and nothing else.
    pub(crate) async fn forget_object(&self, name: &str) {
        let js = self.nats.jetstream();
        if let Ok(bucket) = js.get_object_store(wire::LETTERS_BUCKET).await
            && let Err(error) = bucket.delete(name).await
        {
            tracing::debug!(%error, name, "an object that nobody needs stays");
        }
    }

    /// What an object holds.
    pub(crate) async fn object(&self, name: &str) -> Result<Bytes, BoxError> {
        let read = read_object(&self.nats, wire::LETTERS_BUCKET, name).await?;
        read.ok_or_else(|| format!("{} has no object {name}", wire::LETTERS_BUCKET).into())
    }

    /// The place of a letter's last record; 0 where it has none.
    pub(crate) async fn last(&self, subject: &str) -> Result<u64, BoxError> {
        let last = self.last_record(subject).await?;
        Ok(last.map_or(0, |record| record.sequence))
    }

    /// The place of the record by which a letter was closed; `None` where it is open, or no letter.
    pub(crate) async fn closed(&self, subject: &str) -> Result<Option<u64>, BoxError> {
        let last = self.last_record(subject).await?;
        Ok(last.and_then(|record| {
            let act = header(&record.headers, wire::TW_ACT)?.parse().ok()?;
            matches!(act, Act::Handled | Act::Discarded).then_some(record.sequence)
        }))
    }

    async fn last_record(&self, subject: &str) -> Result<Option<StreamMessage>, BoxError> {
        let stream = self.nats.jetstream().get_stream_no_info(wire::DLQ_STREAM).await?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
