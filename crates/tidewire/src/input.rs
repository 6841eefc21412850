//! The message that is handled, as what follows from it needs it.

use async_nats::Message;
use tidewire_core::{DecodeError, Envelope, Identity, Kind, MessageId, Timestamp, wire};

use crate::{
    clock,
    delivery::StoredAt,
    headers::{header, pairs},
};

/// A message that was read, as far as it can be.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is the usual one, and both are behind an `Arc`"
)]
pub(crate) enum Input {
    /// It has an envelope, in one of the formats that Tidewire knows.
    Envelope(Envelope),
    /// It is another program's. Only handlers of [`Raw`](crate::extract::Raw) and [`Json`](crate::extract::Json) take it.
    Foreign {
        /// What its sender or its stream calls it, or a new identity where neither does.
        id: MessageId,
        /// Whether its sender calls it so.
        named: bool,
        /// When its stream stored it, or else when it was heard.
        timestamp: Timestamp,
        /// Why it is not read as an envelope.
        reason: DecodeError,
    },
}

impl Input {
    pub(crate) fn read(message: &Message, stored: Option<&StoredAt>) -> Self {
        let headers = message.headers.as_ref();
        // A time that is the same at each delivery: the ids of what follows are made of it.
        let timestamp = stored.map_or_else(clock::now, |stored| stored.time);
        match Envelope::decode(&message.subject, pairs(headers), &message.payload, timestamp) {
            Ok(envelope) => {
                tracing::trace!(target: "tidewire::walk", "decoded");
                Self::Envelope(envelope)
            }
            Err(reason) => {
                let given = headers
                    .and_then(|headers| header(headers, wire::MSG_ID))
                    .and_then(MessageId::from_text);
                let place = || MessageId::from_text(stored?.to_string());
                let named = given.is_some();
                let id = given.or_else(place);
                Self::Foreign {
                    named,
                    id: id.unwrap_or_else(|| clock::new_id(Kind::Event)),
                    timestamp,
                    reason,
                }
            }
        }
    }

    pub(crate) fn id(&self) -> &MessageId {
        match self {
            Self::Envelope(envelope) => &envelope.id,
            Self::Foreign { id, .. } => id,
        }
    }

    /// The same for every copy of the message. Who says not who sent it is known by the name of the message, or by its
    /// stream.
    pub(crate) fn identity(&self, stored: Option<&StoredAt>) -> Identity {
        match (self, stored) {
            (Self::Envelope(envelope), _) => {
                let name = envelope.subject.name().as_str();
                let source = envelope.metadata.source.as_deref().unwrap_or(name);
                Identity::of_message(source, &envelope.id)
            }
            (Self::Foreign { named: false, .. }, Some(stored)) => {
                Identity::of_place(&stored.stream, stored.sequence, stored.time)
            }
            (Self::Foreign { id, .. }, stored) => {
                Identity::of_message(stored.map_or("", |stored| &*stored.stream), id)
            }
        }
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        match self {
            Self::Envelope(envelope) => envelope.timestamp,
            Self::Foreign { timestamp, .. } => *timestamp,
        }
    }

    /// The id of the message that began the conversation. One without an envelope begins its own.
    pub(crate) fn correlation_id(&self) -> &str {
        match self {
            Self::Envelope(envelope) => envelope.correlation_id(),
            Self::Foreign { id, .. } => id.as_str(),
        }
    }
}
