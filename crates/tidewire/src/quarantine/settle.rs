//! Settling a message that was never received.
//!
//! Its ack subject is not known, so it is made by hand. Of its numbers nats-server 2.14 and 2.15 use the stream's sequence
//! to find the message among the unsettled (`ackReplyInfo`, `processAckMsg` in `server/consumer.go`); the number of the
//! delivery has to be a possible one for a nak, and the rest is for advisories.

use std::time::Duration;

use async_nats::{Request, RequestErrorKind};
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tidewire_core::BoxError;

use super::{Place, StoredMessage};
use crate::{connection::Connection, consumer::ConsumerSpec};

/// How long the server may take to confirm. Where another layout is needed nobody hears the first one.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);

/// Ends the deliveries of the message; returns once the server has confirmed it.
pub(super) async fn term(
    nats: &Connection,
    spec: &ConsumerSpec,
    place: Place,
    message: &StoredMessage,
) -> Result<(), BoxError> {
    say(nats, spec, place, message, "+TERM poison headers").await
}

/// Has the message delivered again, at once.
pub(super) async fn give_back(
    nats: &Connection,
    spec: &ConsumerSpec,
    place: Place,
    message: &StoredMessage,
) -> Result<(), BoxError> {
    say(nats, spec, place, message, "-NAK").await
}

async fn say(
    nats: &Connection,
    spec: &ConsumerSpec,
    place: Place,
    message: &StoredMessage,
    word: &'static str,
) -> Result<(), BoxError> {
    let rest = rest(spec, place, message);
    let first = request(nats, format!("$JS.ACK.{rest}"), word).await;
    let Err(error) = first else { return Ok(()) };
    // The server hears both layouts, whichever it writes (`js_ack_fc_v2`); this user may be allowed the second alone.
    let Some(account) = account(nats).await else {
        return Err(error);
    };
    let domain = nats.client().try_server_info().and_then(|info| info.domain);
    let domain = domain
        .as_deref()
        .filter(|domain| !domain.is_empty())
        .unwrap_or("_");
    request(nats, format!("$JS.ACK.{domain}.{}.{rest}", hash(&account)), word).await
}

/// The part of an ack subject that both layouts have: who delivered what, for which time, when, and what was left.
fn rest(spec: &ConsumerSpec, place: Place, message: &StoredMessage) -> String {
    let (stream, consumer) = (&spec.stream, &spec.name);
    let nanos = message.time.unix_millis().max(0) * 1_000_000;
    format!(
        "{stream}.{consumer}.1.{}.{}.{nanos}.0",
        message.sequence, place.deliveries
    )
}

async fn request(nats: &Connection, subject: String, word: &'static str) -> Result<(), BoxError> {
    let client = nats.client();
    let request = Request::new()
        .payload(Bytes::from_static(word.as_bytes()))
        .timeout(Some(CONFIRMED_WITHIN));
    let sending = client.send_request(subject.clone(), request);
    match nats.refusals().publishing(&subject, sending).await? {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            Err(format!("nobody hears `{subject}`").into())
        }
        Err(error) => Err(format!("`{subject}`: {error}").into()),
    }
}

/// The account that this connection belongs to, by name.
async fn account(nats: &Connection) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        account: String,
    }
    let client = nats.client();
    let request = Request::new().timeout(Some(CONFIRMED_WITHIN));
    let subject = "$SYS.REQ.USER.INFO";
    let sending = client.send_request(subject, request);
    let answer = nats.refusals().publishing(subject, sending).await.ok()?.ok()?;
    let answer: Answer = serde_json::from_slice(&answer.payload).ok()?;
    Some(answer.data.account)
}

/// As nats-server writes an account in subjects (`getHash` in `server/events.go`).
fn hash(account: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(account);
    let digits = digest.iter().take(8);
    digits
        .map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]))
        .collect()
}
