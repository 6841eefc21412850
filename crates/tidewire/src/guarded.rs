//! Storing a message under the sequence that is expected of its subject.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tidewire_core::BoxError;
use tokio::time::timeout;

use crate::{connection::Connection, headers::header_map};

/// How long an answer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The server's codes for "another sequence than the expected one".
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    err_code: u64,
    description: String,
}

/// What became of a guarded publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is in the stream, at this sequence.
    New(u64),
    /// A message of its id had been stored before, at this sequence.
    Before(u64),
    /// The last sequence is not the expected one.
    Refused,
}

/// Publishes once and awaits the stream's confirmation: the message's sequence, or `None` where the subject's last
/// sequence is not the one that the headers expect.
pub(crate) async fn store<'a>(
    nats: &Connection,
    subject: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: Bytes,
) -> Result<Option<u64>, BoxError> {
    publish(nats, subject, headers, body)
        .await
        .map(|answer| answer.map(|answer| answer.seq))
}

/// As [`store`], for a message with an id.
pub(crate) async fn store_once<'a>(
    nats: &Connection,
    subject: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: Bytes,
) -> Result<Stored, BoxError> {
    let answer = publish(nats, subject, headers, body).await?;
    Ok(match answer {
        Some(answer) if answer.duplicate => Stored::Before(answer.seq),
        Some(answer) => Stored::New(answer.seq),
        None => Stored::Refused,
    })
}

async fn publish<'a>(
    nats: &Connection,
    subject: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: Bytes,
) -> Result<Option<Answer>, BoxError> {
    let request = async_nats::Request::new()
        .headers(header_map(headers)?)
        .payload(body)
        .timeout(Some(ANSWERED_WITHIN));
    // The client's own limit starts once the request is in its queue; while it is disconnected that may be never.
    let client = nats.client();
    let sending = client.send_request(subject.to_owned(), request);
    let message = nats
        .refusals()
        .publishing(subject, timeout(ANSWERED_WITHIN, sending))
        .await???;
    let answer: Answer = serde_json::from_slice(&message.payload)?;
    match &answer.error {
        None => Ok(Some(answer)),
        Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Ok(None),
        Some(error) => Err(format!("{} (code {})", error.description, error.err_code).into()),
    }
}
