//! The dead letter of a poison.

use std::time::Duration;

use async_nats::{
    Request, RequestErrorKind,
    jetstream::{
        Context as JetStream,
        object_store::Config as BucketConfig,
        stream::{Config as StreamConfig, DiscardPolicy, StorageType},
    },
};
use bytes::Bytes;
use serde::Deserialize;
use tidewire_core::{
    BoxError,
    dead_letter::{Act, LetterId, Original, OriginalHeaders, Record, Trouble},
    wire,
};
use tokio::time::timeout;

use super::{Poison, Quarantine, StoredMessage, read};
use crate::{clock, connection::Connection, consumer::ConsumerSpec, headers::header_map};

/// The class of such a letter.
const CLASS: &str = "poison";
/// How long storing may take.
const STORED_WITHIN: Duration = Duration::from_secs(15);
/// The letter has a record already: of an earlier look, of another instance, or still on its way to the replicas.
const THERE_ALREADY: [u64; 2] = [10_071, 10_164];

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
    let storing = write(nats, &id, subject, &record, who.replicas);
    let stored = nats.refusals().or_refused(
        |refusal| refusal.subject.starts_with("dlq.") || refusal.subject.contains("TIDEWIRE_"),
        timeout(STORED_WITHIN, storing),
    );
    stored.await??.map(|()| id.clone())
}

async fn write(
    nats: &Connection,
    id: &LetterId,
    subject: String,
    record: &Record,
    replicas: usize,
) -> Result<(), BoxError> {
    let (js, client) = (nats.jetstream(), nats.client());
    let mut written = record.write(client.max_payload());
    if written.oversized {
        object(&js, id, &written.body, replicas).await?;
        written.headers.push((wire::TW_OBJECT.into(), id.to_string()));
        written.body = Bytes::new();
    }
    let guards = [
        (wire::EXPECTED_STREAM, wire::DLQ_STREAM),
        (wire::EXPECTED_LAST_SUBJECT_SEQUENCE, "0"),
    ];
    let headers = written
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.as_str()));
    let headers = header_map(headers.chain(guards))?;
    let publish = || {
        let request = Request::new()
            .headers(headers.clone())
            .payload(written.body.clone())
            .timeout(Some(STORED_WITHIN));
        client.send_request(subject.clone(), request)
    };
    let answer = match publish().await {
        // Nobody keeps dead letters yet. Asked only now: it takes permissions that the letter itself does not.
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            dead_letter_stream(&js, replicas).await?;
            publish().await?
        }
        sent => sent?,
    };
    confirmed(&answer.payload)
}

fn confirmed(answer: &[u8]) -> Result<(), BoxError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        stream: String,
        error: Option<ApiError>,
    }
    #[derive(Deserialize)]
    struct ApiError {
        #[serde(default)]
        err_code: u64,
        #[serde(default)]
        description: String,
    }
    let answer: Answer = serde_json::from_slice(answer)?;
    match answer.error {
        Some(error) if THERE_ALREADY.contains(&error.err_code) => Ok(()),
        Some(error) => Err(format!("{} ({})", error.description, error.err_code).into()),
        None if answer.stream == wire::DLQ_STREAM => Ok(()),
        None => Err(format!("`{}` has stored it", answer.stream).into()),
    }
}

/// The stream of dead letters, made where it is missing.
async fn dead_letter_stream(js: &JetStream, replicas: usize) -> Result<(), BoxError> {
    let config = StreamConfig {
        name: wire::DLQ_STREAM.into(),
        subjects: vec!["dlq.>".into()],
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        allow_direct: true,
        num_replicas: replicas,
        ..StreamConfig::default()
    };
    if js.get_stream(wire::DLQ_STREAM).await.is_ok() {
        return Ok(());
    }
    match js.create_stream(config).await {
        Ok(_) => Ok(()),
        // Somebody else made it at the same moment.
        Err(error) => match js.get_stream(wire::DLQ_STREAM).await {
            Ok(_) => Ok(()),
            Err(_) => Err(error.into()),
        },
    }
}

/// The object that holds what is too large for any message.
async fn object(js: &JetStream, id: &LetterId, body: &Bytes, replicas: usize) -> Result<(), BoxError> {
    let bucket = if let Ok(bucket) = js.get_object_store(wire::LETTERS_BUCKET).await {
        bucket
    } else {
        let config = BucketConfig {
            bucket: wire::LETTERS_BUCKET.into(),
            description: Some("what is too large for a record of a dead letter".into()),
            num_replicas: replicas,
            ..BucketConfig::default()
        };
        js.create_object_store(config).await?
    };
    bucket.put(id.as_str(), &mut &**body).await?;
    Ok(())
}
