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
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    err_code: u64,
    description: String,
}

/// Publishes once and awaits the stream's confirmation: the message's sequence, or `None` where the subject's last
/// sequence is not the one that the headers expect.
pub(crate) async fn store<'a>(
    nats: &Connection,
    subject: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: Bytes,
) -> Result<Option<u64>, BoxError> {
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
    match answer.error {
        None => Ok(Some(answer.seq)),
        Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Ok(None),
        Some(error) => Err(format!("{} (code {})", error.description, error.err_code).into()),
    }
}
