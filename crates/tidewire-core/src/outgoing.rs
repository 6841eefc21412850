//! A message ready to leave.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tidewire_subject::{Key, KeyError, MessageName, NameError, Subject, SubjectError};

use crate::{
    BoxError, Extras, Format, Kind, Message, MessageId, Metadata, Mismatch, Timestamp, TraceContext,
    cloud_events, extras::check_size, wire,
};

/// What the sender adds to a message: who it is, when, and what it follows from.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The message's identity.
    pub id: MessageId,
    /// When it is sent.
    pub timestamp: Timestamp,
    /// The service that sends it.
    pub source: String,
    /// The message that began the conversation; `None` where this one does.
    pub correlation_id: Option<String>,
    /// The message that this one follows from.
    pub causation_id: Option<String>,
    /// The trace that it belongs to.
    pub trace: TraceContext,
    /// How it is written.
    pub format: Format,
}

/// A message in the form in which it leaves: subject, headers and body.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes; in a queue, behind the prefix.
    pub subject: Subject,
    /// Its identity, by which a repeated publish is recognised.
    pub id: MessageId,
    /// Header names and values; no value holds a line break.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The envelope.
    pub body: Bytes,
    /// Whether it goes to its context's queue, as a durable command.
    pub queued: bool,
}

/// A message that cannot be written; nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The type's name breaks the grammar: its `Message` was written by hand.
    #[error("the message's name breaks the grammar: {0}")]
    Name(#[from] NameError),
    /// The key cannot be part of a subject.
    #[error("the key of `{name}` cannot be part of a subject: {source}")]
    Key {
        /// The message's name.
        name: &'static str,
        /// Why not.
        #[source]
        source: KeyError,
    },
    /// The value and its type disagree on whether there is a key: its `Message` was written by hand.
    #[error("`{name}` must give a key exactly when its `Message::TYPE` says `keyed`")]
    KeyedMismatch {
        /// The message's name.
        name: &'static str,
    },
    /// Name and key together are too long.
    #[error("the subject of `{name}` is too long: {source}")]
    Subject {
        /// The message's name.
        name: &'static str,
        /// How long it may be.
        #[source]
        source: SubjectError,
    },
    /// A header belongs to the framework.
    #[error(
        "the header `{name}` is the framework's, as all that begin with Nats-, Tw- and ce-; take another name"
    )]
    ReservedHeader {
        /// The header.
        name: String,
    },
    /// A header cannot be sent.
    #[error(
        "the header {name:?} cannot be sent: a name has no space and no colon, a value is one line of text"
    )]
    Header {
        /// The header.
        name: String,
    },
    /// An entry of the metadata belongs to the framework.
    #[error("the metadata entry `{name}` is the framework's, as all that begin with tw_; take another name")]
    ReservedMetadata {
        /// The entry.
        name: String,
    },
    /// The headers are larger than a stream takes.
    #[error("the headers have {size} bytes and a stream takes {limit}; put what is large into the data")]
    HeadersTooLarge {
        /// Their size in bytes.
        size: usize,
        /// The most that a stream takes.
        limit: usize,
    },
    /// The value breaks its message's schema.
    #[error("the data of `{name}` breaks its schema: {source}")]
    BreaksSchema {
        /// The message's name.
        name: &'static str,
        /// Where, and what is expected there.
        #[source]
        source: Mismatch,
    },
    /// The value cannot be written as JSON.
    #[error("`{name}` cannot be written as JSON: {source}")]
    Data {
        /// The message's name.
        name: String,
        /// What serde says of it.
        #[source]
        source: serde_json::Error,
    },
    /// The value cannot be written by its codec.
    #[error("`{name}` cannot be written as {media_type}: {source}")]
    Codec {
        /// The message's name.
        name: &'static str,
        /// How it was to be written.
        media_type: &'static str,
        /// What the codec says of it.
        #[source]
        source: BoxError,
    },
}

impl Outgoing {
    /// Writes `message` with `stamp` and what the sender adds.
    ///
    /// # Errors
    /// [`EncodeError`] where its key, its data or the extras cannot be written; nothing was sent.
    pub fn message<M: Message>(message: &M, stamp: Stamp, extras: Extras) -> Result<Self, EncodeError> {
        extras.check()?;
        let contract = M::TYPE;
        let key = message.key();
        if key.is_some() != contract.keyed {
            return Err(EncodeError::KeyedMismatch { name: contract.name });
        }
        let escaped = key
            .as_deref()
            .map(Key::new)
            .transpose()
            .map_err(|source| EncodeError::Key {
                name: contract.name,
                source,
            })?;
        let name: MessageName = contract.name.parse()?;
        let subject = Subject::new(&name, escaped).map_err(|source| EncodeError::Subject {
            name: contract.name,
            source,
        })?;
        let data = match M::CODEC {
            None => Data::Json(message),
            Some(codec) => Data::Binary(
                codec.media_type(),
                codec.encode(message).map_err(|source| EncodeError::Codec {
                    name: contract.name,
                    media_type: codec.media_type(),
                    source,
                })?,
            ),
        };
        let (kind, version) = (contract.kind, contract.version);
        Self::write_data(kind, subject, version, key, data, stamp, extras)
    }

    /// Writes a message whose type this program does not have: `data` is JSON text that nobody has checked, and the key
    /// is the subject's.
    ///
    /// # Errors
    /// [`EncodeError`] where the extras cannot be sent.
    pub fn untyped(
        kind: Kind,
        subject: Subject,
        version: u32,
        data: &RawValue,
        stamp: Stamp,
        extras: Extras,
    ) -> Result<Self, EncodeError> {
        extras.check()?;
        let key = subject.key().map(|key| key.text().into_owned());
        Self::write(kind, subject, version, key, &data, stamp, extras)
    }

    pub(crate) fn write<D: Serialize>(
        kind: Kind,
        subject: Subject,
        version: u32,
        key: Option<String>,
        data: &D,
        stamp: Stamp,
        extras: Extras,
    ) -> Result<Self, EncodeError> {
        Self::write_data(kind, subject, version, key, Data::Json(data), stamp, extras)
    }

    fn write_data<D: Serialize>(
        kind: Kind,
        subject: Subject,
        version: u32,
        key: Option<String>,
        data: Data<'_, D>,
        stamp: Stamp,
        extras: Extras,
    ) -> Result<Self, EncodeError> {
        let name = subject.name().as_str().to_owned();
        let metadata = Metadata {
            name: Some(name.clone()),
            version: Some(version),
            source: Some(stamp.source),
            key,
            correlation_id: Some(stamp.correlation_id.unwrap_or_else(|| stamp.id.to_string())),
            causation_id: stamp.causation_id,
            entries: extras.metadata,
        };
        let (id, time) = (&stamp.id, stamp.timestamp);
        let written = match (data, stamp.format) {
            (Data::Binary(media_type, body), _) => {
                let headers = cloud_events::headers(kind, id, time, &metadata, media_type);
                Ok((headers, body))
            }
            (Data::Json(data), Format::Tidewire) => write_envelope(kind, id, time, &metadata, data),
            (Data::Json(data), Format::CloudEventsBinary) => {
                cloud_events::write_binary(kind, id, time, &metadata, data)
            }
            (Data::Json(data), Format::CloudEventsStructured) => {
                cloud_events::write_structured(kind, id, time, &metadata, data)
            }
        };
        let (format_headers, body) = written.map_err(|source| EncodeError::Data {
            name: name.clone(),
            source,
        })?;
        let mut headers: Vec<(Cow<'static, str>, String)> = vec![
            (wire::MSG_ID.into(), stamp.id.to_string()),
            (wire::TW_NAME.into(), name),
            (wire::TW_VERSION.into(), version.to_string()),
        ];
        headers.extend(
            format_headers
                .into_iter()
                .map(|(name, value)| (name.into(), value)),
        );
        let copies = [
            (wire::TW_CORRELATION_ID, &metadata.correlation_id),
            (wire::TW_CAUSATION_ID, &metadata.causation_id),
        ];
        for (header, value) in copies {
            // Another producer's id may hold anything; the body has it in any case.
            if let Some(value) = value.as_ref().filter(|value| !value.contains(['\r', '\n'])) {
                headers.push((header.into(), value.clone()));
            }
        }
        let trace = stamp.trace.headers();
        headers.extend(trace.map(|(header, value)| (header.into(), value.to_owned())));
        headers.extend(
            extras
                .headers
                .into_iter()
                .map(|(header, value)| (header.into(), value)),
        );
        check_size(headers.iter().map(|(header, value)| (&**header, value.as_str())))?;
        Ok(Self {
            subject,
            id: stamp.id,
            headers,
            body: body.into(),
            queued: false,
        })
    }

    /// The same message on its way to its context's queue, as a durable command.
    ///
    /// # Errors
    /// [`EncodeError::HeadersTooLarge`] where there is no room for the header that a queue adds.
    pub fn into_queue(mut self) -> Result<Self, EncodeError> {
        if !self.queued {
            self.queued = true;
            self.headers
                .push((wire::TW_SUBJECT.into(), self.subject.to_string()));
            check_size(
                self.headers
                    .iter()
                    .map(|(header, value)| (&**header, value.as_str())),
            )?;
        }
        Ok(self)
    }

    /// The subject that is published to.
    pub fn published_to(&self) -> String {
        if self.queued {
            wire::queue_subject(self.subject.as_str())
        } else {
            self.subject.to_string()
        }
    }

    /// The stream that must store it.
    pub fn stream(&self) -> String {
        let context = self.subject.name().context_name();
        if self.queued {
            context.queue_stream_name()
        } else {
            context.stream_name()
        }
    }
}

/// What a message says, before it is written.
enum Data<'a, D> {
    /// As JSON, in whichever format the sender writes.
    Json(&'a D),
    /// Written already, in another way that the media type names.
    Binary(&'static str, Vec<u8>),
}

/// What a format makes of a message: its headers, and the body.
pub(crate) type Written = (Vec<(String, String)>, Vec<u8>);

/// Tidewire's envelope, exactly.
fn write_envelope<D: Serialize>(
    kind: Kind,
    id: &MessageId,
    timestamp: Timestamp,
    metadata: &Metadata,
    data: &D,
) -> Result<Written, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a, D> {
        #[serde(rename = "type")]
        kind: Kind,
        id: &'a MessageId,
        timestamp: Timestamp,
        data: &'a D,
        metadata: &'a Metadata,
    }
    let body = serde_json::to_vec(&Body {
        kind,
        id,
        timestamp,
        data,
        metadata,
    })?;
    Ok((vec![(wire::CONTENT_TYPE.to_owned(), wire::JSON.to_owned())], body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untyped(subject: &str, extras: Extras) -> Outgoing {
        let stamp = Stamp {
            id: MessageId::from_text("cmd_1").unwrap(),
            timestamp: "2026-03-20T12:00:00Z".parse().unwrap(),
            source: "shop".into(),
            correlation_id: None,
            causation_id: None,
            trace: TraceContext::default(),
            format: Format::Tidewire,
        };
        let data = RawValue::from_string("{}".into()).unwrap();
        Outgoing::untyped(Kind::Command, subject.parse().unwrap(), 1, &data, stamp, extras).unwrap()
    }

    #[test]
    fn a_queued_command_differs_in_where_it_goes_and_in_one_header() {
        let plain = untyped("users.v2.profile.user.remove.u=2E1", Extras::new());
        assert_eq!(plain.published_to(), "users.v2.profile.user.remove.u=2E1");
        assert_eq!(plain.stream(), "USERS__V2__PROFILE");
        let queued = plain.clone().into_queue().unwrap().into_queue().unwrap();
        assert_eq!(queued.published_to(), "queue.users.v2.profile.user.remove.u=2E1");
        assert_eq!(queued.stream(), "USERS__V2__PROFILE__QUEUE");
        assert_eq!((&queued.subject, &queued.body), (&plain.subject, &plain.body));
        let (ours, theirs) = queued.headers.split_last().unwrap();
        assert_eq!(theirs, plain.headers);
        assert_eq!(
            (&*ours.0, ours.1.as_str()),
            ("Tw-Subject", plain.subject.as_str())
        );
    }

    /// Headers that just fit would otherwise be refused by the stream, at every attempt.
    #[test]
    fn the_header_of_a_queue_counts_towards_the_limit() {
        let head = |size| Extras::new().header("x-big", "x".repeat(size));
        let plain = untyped("users.profile.user.remove.u", head(0));
        let used: usize = plain
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        let full = untyped("users.profile.user.remove.u", head((64 << 10) - used - 12));
        assert!(matches!(
            full.into_queue(),
            Err(EncodeError::HeadersTooLarge { .. })
        ));
    }
}
