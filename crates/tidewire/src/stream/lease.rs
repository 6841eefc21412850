//! One at a time: a lease that services of any name share.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{Context as JetStream, kv},
};
use bytes::Bytes;
use serde::Deserialize;
use tidewire_core::wire::LEASES_BUCKET;
use tokio::time::{Instant, sleep};

use crate::{headers::header_map, start_error::StartError};

/// After this long the server ends a lease whose holder died. Twice as long as the three requests under it may take.
const LIFE: Duration = Duration::from_secs(30);
/// Longer than a life, so that a dead holder does not fail a start.
const HELD_WITHIN: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(20);

/// A lease on a name; given back by [`Lease::release`], or by the server when its life is over.
///
/// It is a key with an expected sequence and a `Nats-TTL`, published raw: the client's own `create_with_ttl` drops the
/// TTL over a deletion marker.
pub(super) struct Lease<'a> {
    js: &'a JetStream,
    subject: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    err_code: u64,
    description: String,
}

/// The server's code for "another sequence than the expected one".
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

impl<'a> Lease<'a> {
    /// Waits for the lease on `name`. The bucket has as many `replicas` as the stream of whoever makes it: without it no
    /// stream could be added to.
    pub(super) async fn acquire(
        js: &'a JetStream,
        api_prefix: &str,
        name: &str,
        holder: &str,
        replicas: usize,
    ) -> Result<Self, StartError> {
        let bucket = kv::Config {
            bucket: LEASES_BUCKET.into(),
            description: "leases that Tidewire's services share".into(),
            history: 1,
            limit_markers: Some(LIFE),
            num_replicas: replicas,
            ..kv::Config::default()
        };
        let bucket = match js.create_key_value(bucket).await {
            Ok(bucket) => bucket,
            // Somebody else made it at the same moment.
            Err(_) => js
                .get_key_value(LEASES_BUCKET)
                .await
                .map_err(StartError::jetstream)?,
        };
        let subject = writing(&bucket, name, api_prefix);
        let deadline = Instant::now() + HELD_WITHIN;
        loop {
            let free_at = match bucket.entry(name).await.map_err(StartError::jetstream)? {
                None => Some(0),
                Some(entry) if entry.operation != kv::Operation::Put => Some(entry.revision),
                Some(_) => None,
            };
            if let Some(expected) = free_at {
                let life = LIFE.as_secs().to_string();
                let expected = expected.to_string();
                let headers = [
                    ("Nats-Expected-Last-Subject-Sequence", expected.as_str()),
                    ("Nats-TTL", &life),
                ];
                let headers = header_map(headers).map_err(StartError::jetstream)?;
                if let Some(sequence) = put(js, &subject, headers, holder).await? {
                    return Ok(Self {
                        js,
                        subject,
                        sequence,
                    });
                }
            }
            if Instant::now() >= deadline {
                return Err(StartError::LeaseHeld {
                    name: name.into(),
                    within: HELD_WITHIN,
                });
            }
            sleep(PAUSE).await;
        }
    }

    /// Gives it back. A lease that has run out is somebody else's by now and stays.
    pub(super) async fn release(self) -> Result<(), StartError> {
        let expected = self.sequence.to_string();
        let headers = [
            ("KV-Operation", "DEL"),
            ("Nats-Expected-Last-Subject-Sequence", expected.as_str()),
        ];
        let headers = header_map(headers).map_err(StartError::jetstream)?;
        put(self.js, &self.subject, headers, "").await.map(drop)
    }
}

/// Where a key of the bucket is written: in another JetStream domain behind the prefix of its API.
fn writing(bucket: &kv::Store, name: &str, api_prefix: &str) -> String {
    let key = format!("{}{name}", bucket.put_prefix.as_ref().unwrap_or(&bucket.prefix));
    if bucket.use_jetstream_prefix {
        format!("{api_prefix}.{key}")
    } else {
        key
    }
}

/// Stores a value; `None` where somebody else was first.
async fn put(
    js: &JetStream,
    subject: &str,
    headers: HeaderMap,
    value: &str,
) -> Result<Option<u64>, StartError> {
    let request = async_nats::Request::new()
        .headers(headers)
        .payload(Bytes::from(value.to_owned()));
    let answer = js
        .client()
        .send_request(subject.to_owned(), request)
        .await
        .map_err(StartError::jetstream)?;
    let answer: Answer = serde_json::from_slice(&answer.payload).map_err(StartError::jetstream)?;
    match answer.error {
        None => Ok(Some(answer.seq)),
        Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Ok(None),
        Some(error) => Err(StartError::jetstream(error.description)),
    }
}
