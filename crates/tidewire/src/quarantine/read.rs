//! Reading what a consumer has delivered, in a form that no client has to parse.

use std::{fmt, time::Duration};

use async_nats::{Message, jetstream};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Value, json};
use tidewire_core::{BoxError, Timestamp};

use crate::{
    connection::{ApiError, Connection},
    consumer::ConsumerSpec,
};

/// How long one answer is awaited; a leader that is being elected is asked again at the next look.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// What the server says where there is no such message.
const NO_MESSAGE: u64 = 10_037;

/// Where a consumer is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// All up to here is settled.
    pub(super) floor: u64,
    /// Nothing after this was ever delivered.
    pub(super) delivered: u64,
    /// The number of the last delivery.
    pub(super) deliveries: u64,
    /// How many messages were delivered and not settled.
    pub(super) unsettled: u64,
}

/// A message as the stream has it.
#[derive(Clone, Deserialize)]
pub(super) struct StoredMessage {
    pub(super) subject: String,
    #[serde(rename = "seq")]
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    /// The header block, unread; empty where there is none.
    #[serde(default, rename = "hdrs", deserialize_with = "base64")]
    pub(super) headers: Bytes,
    #[serde(default, rename = "data", deserialize_with = "base64")]
    pub(super) payload: Bytes,
}

impl StoredMessage {
    /// As a client could have received it.
    pub(super) fn without_headers(&self) -> Message {
        Message {
            subject: self.subject.as_str().into(),
            reply: None,
            payload: self.payload.clone(),
            headers: None,
            status: None,
            description: None,
            length: self.payload.len(),
        }
    }
}

/// Without its content: no log shows what a message holds.
impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage")
            .field("subject", &self.subject)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// The messages with subjects of one filter, within a range of sequences.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    nats: &'a Connection,
    question: String,
    filter: &'a str,
    next: u64,
    last: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(nats: &'a Connection, stream: &str, filter: &'a str, next: u64, last: u64) -> Self {
        Self {
            nats,
            question: format!("STREAM.MSG.GET.{stream}"),
            filter,
            next,
            last,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<StoredMessage>, BoxError> {
        #[derive(Deserialize)]
        struct Answer {
            message: StoredMessage,
        }
        if self.next > self.last {
            return Ok(None);
        }
        let request = json!({ "seq": self.next, "next_by_subj": self.filter });
        let message = match ask::<Answer>(self.nats, &self.question, &request).await? {
            Ok(answer) => answer.message,
            Err(error) if error.error_code().0 == NO_MESSAGE => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.next = message.sequence + 1;
        Ok(Some(message).filter(|message| message.sequence <= self.last))
    }
}

/// Where the consumer is now.
pub(super) async fn consumer(nats: &Connection, spec: &ConsumerSpec) -> Result<Place, BoxError> {
    #[derive(Deserialize)]
    struct Info {
        delivered: Pair,
        ack_floor: Pair,
        num_ack_pending: u64,
    }
    #[derive(Deserialize)]
    struct Pair {
        consumer_seq: u64,
        stream_seq: u64,
    }
    let question = format!("CONSUMER.INFO.{}.{}", spec.stream, spec.name);
    let info = ask::<Info>(nats, &question, &json!({})).await??;
    Ok(Place {
        floor: info.ack_floor.stream_seq,
        delivered: info.delivered.stream_seq,
        deliveries: info.delivered.consumer_seq,
        unsettled: info.num_ack_pending,
    })
}

/// When the stream was made.
pub(super) async fn created(nats: &Connection, stream: &str) -> Result<Timestamp, BoxError> {
    #[derive(Deserialize)]
    struct Info {
        created: Timestamp,
    }
    let info = ask::<Info>(nats, &format!("STREAM.INFO.{stream}"), &json!({})).await??;
    Ok(info.created)
}

async fn ask<T: DeserializeOwned>(
    nats: &Connection,
    question: &str,
    request: &Value,
) -> Result<Result<T, jetstream::Error>, BoxError> {
    match nats.api(question, request, ANSWERED_WITHIN).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(ApiError::Answered(error)) => Ok(Err(error)),
        // Whoever asks tells it from all else.
        Err(ApiError::NotPermitted(refusal)) => Err(refusal.into()),
        Err(error) => Err(error.into()),
    }
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
}
