//! The streams that every service with durables needs beside those of its contexts.

use std::time::Duration;

use async_nats::jetstream::{
    object_store,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use tidewire_core::wire;

use crate::{connection::Connection, election::Patience, objects, start_error::StartError};

/// How long error events are kept, and how many: they are told, and not promised.
const ERRORS_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const MOST_ERRORS: i64 = 1_000_000;

/// The streams of one service, made where they are missing: its own, that of the dead letters, that of error events.
pub(crate) async fn ensure(nats: &Connection, service: &str, replicas: usize) -> Result<(), StartError> {
    ensure_letters(nats, replicas).await?;
    let errors = Config {
        description: Some("what went wrong, for whoever watches".into()),
        discard: DiscardPolicy::Old,
        max_age: ERRORS_AGE,
        max_messages: MOST_ERRORS,
        ..stream(wire::ERRORS_STREAM, &["errors.>"], replicas)
    };
    ensure_stream(nats, errors).await?;
    let subjects = ["retry", "park"].map(|purpose| format!("{purpose}.{service}.>"));
    let own = Config {
        description: Some(format!("what {service} tries again and has parked")),
        allow_message_ttl: true,
        allow_atomic_publish: true,
        ..stream(&wire::service_stream(service), &subjects, replicas)
    };
    ensure_stream(nats, own).await?;
    Ok(())
}

/// The stream of the dead letters: nothing ages in it, and where it is full it refuses. Whoever may make it makes the bucket
/// too of what is too large for it: whoever stores a letter there later may not be allowed to.
pub(crate) async fn ensure_letters(nats: &Connection, replicas: usize) -> Result<(), StartError> {
    let letters = Config {
        description: Some("what could not be handled, whole, and what became of it".into()),
        ..stream(wire::DLQ_STREAM, &["dlq.>"], replicas)
    };
    if ensure_stream(nats, letters).await? {
        ensure_letter_objects(nats, replicas).await?;
    }
    Ok(())
}

/// The bucket of what is too large for the stream of the dead letters.
pub(crate) async fn ensure_letter_objects(nats: &Connection, replicas: usize) -> Result<(), StartError> {
    let config = object_store::Config {
        bucket: wire::LETTERS_BUCKET.into(),
        description: Some("bodies that are too large for a record of a dead letter".into()),
        num_replicas: replicas,
        ..object_store::Config::default()
    };
    objects::ensure_bucket(nats, config).await
}

fn stream<S: AsRef<str>>(name: &str, subjects: &[S], replicas: usize) -> Config {
    Config {
        name: name.to_owned(),
        subjects: subjects
            .iter()
            .map(|subject| subject.as_ref().to_owned())
            .collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        allow_direct: true,
        num_replicas: replicas,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        ..Config::default()
    }
}

async fn ensure_stream(nats: &Connection, wanted: Config) -> Result<bool, StartError> {
    let patience = Patience::begins();
    loop {
        match try_ensure(nats, &wanted).await {
            Err(error) => patience.with(error).await?,
            done => return done,
        }
    }
}

/// Makes the stream, which is `true`, or adds to it what it lacks. Limits that somebody has set are left as they are.
async fn try_ensure(nats: &Connection, wanted: &Config) -> Result<bool, StartError> {
    let js = nats.jetstream();
    let Some(found) = crate::stream::find(nats, &wanted.name).await? else {
        let making = js.create_stream(wanted.clone());
        let asked = [format!("$JS.API.STREAM.CREATE.{}", wanted.name)];
        let made = nats.unless_refused(&asked, making);
        return match made.await? {
            Ok(_) => Ok(true),
            // Another service made it at the same moment, with as many replicas as it has.
            Err(_) if crate::stream::find(nats, &wanted.name).await?.is_some() => Ok(false),
            Err(error) => Err(StartError::of_stream(&wanted.name, error)),
        };
    };
    let mut better = found.clone();
    for subject in &wanted.subjects {
        if !better.subjects.contains(subject) {
            better.subjects.push(subject.clone());
        }
    }
    better.num_replicas = found.num_replicas.max(wanted.num_replicas);
    better.allow_message_ttl |= wanted.allow_message_ttl;
    better.allow_atomic_publish |= wanted.allow_atomic_publish;
    better.allow_direct |= wanted.allow_direct;
    if better == found {
        return Ok(false);
    }
    let updating = js.update_stream(&better);
    let asked = [format!("$JS.API.STREAM.UPDATE.{}", wanted.name)];
    let updated = nats.unless_refused(&asked, updating);
    updated
        .await?
        .map_err(|error| StartError::of_stream(&wanted.name, error))?;
    Ok(false)
}
