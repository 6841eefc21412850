//! A dead letter that its handler is given again.

use std::sync::Arc;

use async_nats::{HeaderMap, Message};
use tidewire_core::{
    BoxError, Timestamp,
    dead_letter::{LetterId, Original, OriginalHeaders},
    wire,
};

use super::desk::Desk;
use crate::{
    delivery::StoredAt,
    headers::{header, header_map, pairs},
    letters::Letters,
};

/// A message that came on `retry.<service>.<durable>.<letter>`: which letter it is of, and the record by which it was
/// replayed.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    pub(super) letter: LetterId,
    /// The place of the record `replayed`: whatever becomes of it is recorded behind that one.
    pub(super) record: u64,
    pub(super) original: Original,
    attempts: u32,
    first_failed: Option<Timestamp>,
    /// The `traceparent` of the attempt that failed last.
    traceparent: Option<String>,
}

impl Replay {
    /// The letter, and its message as it was sent at first. `None` for what is no replay, whatever is written in the
    /// service's stream.
    pub(super) async fn read(
        message: &Message,
        letters: &Letters,
    ) -> Result<Option<(Self, Message)>, BoxError> {
        let headers = message.headers.as_ref();
        let find = |name| headers.and_then(|headers| header(headers, name));
        let letter = find(wire::TW_LETTER).and_then(|letter| letter.parse().ok());
        let record = find(wire::TW_RECORD).and_then(|record| record.parse().ok());
        let (Some(letter), Some(record)) = (letter, record) else {
            return Ok(None);
        };
        let body = match find(wire::TW_OBJECT) {
            Some(name) => letters.object(name).await?,
            None => message.payload.clone(),
        };
        let Ok(original) = Original::unwrap(pairs(headers), &body) else {
            return Ok(None);
        };
        let replay = Self {
            letter,
            record,
            original,
            attempts: find(wire::TW_ATTEMPTS)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            first_failed: find(wire::TW_FIRST_FAILED).and_then(|text| text.parse().ok()),
            traceparent: find(wire::TRACEPARENT).map(str::to_owned),
        };
        let original = &replay.original;
        let first = Message {
            subject: original.subject.as_str().into(),
            reply: None,
            payload: original.payload.clone(),
            headers: headers_of(original)?,
            status: None,
            description: None,
            length: message.length,
        };
        Ok(Some((replay, first)))
    }

    /// Whether the letter still stands where this replay left it.
    pub(super) async fn is_due(&self, desk: &Desk) -> bool {
        let subject = desk.letter_subject(&self.letter);
        match desk.letters.last(&subject).await {
            Ok(last) => last == self.record,
            // Not known; what becomes of it is guarded by the same sequence.
            Err(_) => true,
        }
    }

    /// Where the message was at first.
    pub(super) fn stored(&self) -> StoredAt {
        StoredAt {
            stream: Arc::from(self.original.stream.as_str()),
            sequence: self.original.sequence,
            time: self.original.stored,
        }
    }

    /// How often it was tried before.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn first_failed(&self) -> Option<Timestamp> {
        self.first_failed
    }

    pub(super) fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Under what its own runs are counted: those of the original are spent, and of another replay too.
    pub(super) fn run_id(&self) -> LetterId {
        LetterId::of(self.letter.as_str(), self.original.created, self.record)
    }
}

/// The message as it is stored in a dead letter.
pub(super) fn original(message: &Message, stored: &StoredAt, created: Timestamp) -> Original {
    let headers = pairs(message.headers.as_ref());
    Original {
        stream: stored.stream.to_string(),
        created,
        sequence: stored.sequence,
        stored: stored.time,
        subject: message.subject.to_string(),
        headers: OriginalHeaders::Parsed(
            headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ),
        payload: message.payload.clone(),
    }
}

fn headers_of(original: &Original) -> Result<Option<HeaderMap>, BoxError> {
    let headers = original.parsed_headers();
    if headers.is_empty() {
        return Ok(None);
    }
    Ok(Some(header_map(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )?))
}
