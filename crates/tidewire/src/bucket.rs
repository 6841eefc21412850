//! Keys with an expected sequence and a life of their own.
//!
//! The client's key-value store is not used to write: its creation with a TTL drops the TTL over a deletion marker, and
//! it has no update with one. Reads go through the leader: a replica may not know yet what was written a moment ago.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    context::CreateKeyValueErrorKind,
    kv::Config,
    message::StreamMessage,
    stream::{LastRawMessageError, LastRawMessageErrorKind},
};
use bytes::Bytes;
use tidewire_core::{BoxError, wire};
use tokio::time::timeout;

use crate::{
    connection::Connection, election::Patience, guarded::store, start_error::StartError, stream::find,
};

/// How long the end of a key's life is to be seen.
const MARKED_FOR: Duration = Duration::from_secs(60);
/// How long an answer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// A key-value bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    nats: Connection,
    name: String,
    stream: String,
    /// What a key is written below: in another JetStream domain behind the prefix of its API.
    prefix: String,
    /// As it was asked for.
    config: Config,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `None` where it was deleted, or its life is over.
    pub(crate) value: Option<Bytes>,
    /// What the next write expects.
    pub(crate) sequence: u64,
}

/// What a write must meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    Anything,
    /// The key's last sequence; 0 where there is none.
    Sequence(u64),
}

impl Bucket {
    /// A bucket of one service's own, whose keys have lives; made where there is none, after an election that is going
    /// on.
    pub(crate) async fn of_service(
        nats: &Connection,
        bucket: String,
        description: String,
        replicas: usize,
    ) -> Result<Self, StartError> {
        let config = Config {
            bucket,
            description,
            history: 1,
            limit_markers: Some(MARKED_FOR),
            num_replicas: replicas,
            ..Config::default()
        };
        let patience = Patience::begins();
        loop {
            match Box::pin(Self::ensure(nats, config.clone())).await {
                Err(error) => patience.with(error).await?,
                done => return done,
            }
        }
    }

    /// The bucket of this name, made where there is none, and mended where it lacks what was asked for.
    pub(crate) async fn ensure(nats: &Connection, config: Config) -> Result<Self, StartError> {
        let wanted = config.clone();
        let (js, name) = (nats.jetstream(), config.bucket.clone());
        let store = match js.get_key_value(&name).await {
            Ok(found) => found,
            Err(_) => match js.create_key_value(config).await {
                Ok(made) => made,
                Err(error) => match js.get_key_value(&name).await {
                    // Somebody else made it at the same moment.
                    Ok(found) => found,
                    Err(_) if error.kind() == CreateKeyValueErrorKind::BucketCreate => {
                        return Err(StartError::StreamRefused {
                            stream: format!("KV_{name}"),
                            source: error.into(),
                        });
                    }
                    Err(_) => return Err(StartError::jetstream(error)),
                },
            },
        };
        let below = store.put_prefix.as_ref().unwrap_or(&store.prefix);
        let prefix = if store.use_jetstream_prefix {
            format!("{}.{below}", nats.api_prefix())
        } else {
            below.clone()
        };
        let bucket = Self {
            nats: nats.clone(),
            stream: store.stream_name.clone(),
            name,
            prefix,
            config: wanted,
        };
        bucket.mend().await?;
        Ok(bucket)
    }

    /// Gives the bucket what it lacks: lives for its keys, and as many replicas as the streams have.
    async fn mend(&self) -> Result<(), StartError> {
        let Some(found) = find(&self.nats, &self.stream).await? else {
            return Ok(());
        };
        let mut better = found.clone();
        better.num_replicas = found.num_replicas.max(self.config.num_replicas);
        if self.config.limit_markers.is_some() && !found.allow_message_ttl {
            better.allow_message_ttl = true;
            better.subject_delete_marker_ttl = self.config.limit_markers;
        }
        if better == found {
            return Ok(());
        }
        let updated = self.nats.jetstream().update_stream(&better).await;
        updated
            .map(drop)
            .map_err(|error| StartError::of_stream(&self.stream, error))
    }

    /// The most that a value may have, its headers included.
    pub(crate) fn max_payload(&self) -> usize {
        self.nats.client().max_payload()
    }

    /// What the key holds; `None` where nothing was ever written to it.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Entry>, BoxError> {
        let subject = format!("$KV.{}.{key}", self.name);
        let js = self.nats.jetstream();
        let reading = async {
            let stream = js.get_stream_no_info(&self.stream).await?;
            match stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => Ok(Some(entry(message))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) if is_gone(&error) => {
                    // Somebody deleted it, and what reads first would never come to write.
                    Box::pin(Self::ensure(&self.nats, self.config.clone())).await?;
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        };
        timeout(ANSWERED_WITHIN, reading).await?
    }

    /// Writes the key, to be forgotten after `life` (in whole seconds, at least one); its sequence, or `None` where it
    /// is not as expected.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: Bytes,
        expect: Expect,
        life: Duration,
    ) -> Result<Option<u64>, BoxError> {
        let life = format!("{}s", life.as_secs().max(1));
        self.write(key, value, expect, (wire::TTL, &life)).await
    }

    /// Marks the key as deleted; `false` where it is not as expected.
    pub(crate) async fn delete(&self, key: &str, expect: Expect) -> Result<bool, BoxError> {
        let deleted = self
            .write(key, Bytes::new(), expect, ("KV-Operation", "DEL"))
            .await?;
        Ok(deleted.is_some())
    }

    async fn write(
        &self,
        key: &str,
        value: Bytes,
        expect: Expect,
        header: (&str, &str),
    ) -> Result<Option<u64>, BoxError> {
        let expected = match expect {
            Expect::Anything => None,
            Expect::Sequence(sequence) => Some(sequence.to_string()),
        };
        let expected = expected
            .iter()
            .map(|text| (wire::EXPECTED_LAST_SUBJECT_SEQUENCE, text.as_str()));
        let subject = format!("{}{key}", self.prefix);
        let headers: Vec<_> = expected.chain([header]).collect();
        let stored = store(&self.nats, &subject, headers.iter().copied(), value.clone()).await;
        if stored.is_ok() {
            return stored;
        }
        // Somebody may have deleted it, or taken its settings away.
        Box::pin(Self::ensure(&self.nats, self.config.clone())).await?;
        store(&self.nats, &subject, headers.iter().copied(), value).await
    }
}

/// Whether there is no such bucket.
fn is_gone(error: &LastRawMessageError) -> bool {
    match error.kind() {
        LastRawMessageErrorKind::JetStream(api) => api.error_code() == ErrorCode::STREAM_NOT_FOUND,
        _ => false,
    }
}

fn entry(message: StreamMessage) -> Entry {
    // A deletion, a purge and an expiry are messages without a value.
    let marker = ["KV-Operation", "Nats-Marker-Reason"];
    let is_gone = marker.iter().any(|name| message.headers.get(*name).is_some());
    Entry {
        value: (!is_gone).then_some(message.payload),
        sequence: message.sequence,
    }
}
