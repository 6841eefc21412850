//! A message as it came off the wire.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use tidewire_subject::Subject;

use crate::{DecodeError, Encoded, Kind, MessageId, Metadata, Timestamp};

/// A received message whose envelope is read and whose data is still JSON text.
///
/// A sender needs the five top-level fields and nothing more; name and key come from the subject, and the version is
/// 1 where the metadata says none.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Event, command, query, reply or error.
    pub kind: Kind,
    /// The message's identity.
    pub id: MessageId,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// Where it was sent to: the name, and the key if it has one.
    pub subject: Subject,
    /// What the sender says beside the data.
    pub metadata: Metadata,
    key: Option<String>,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    id: String,
    timestamp: String,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

impl Envelope {
    /// Reads the envelope of a message that came on `subject`.
    ///
    /// # Errors
    /// [`DecodeError`] where the body is no envelope, or contradicts its subject. The sender must change.
    pub fn decode(subject: &str, payload: &Bytes) -> Result<Self, DecodeError> {
        let subject = Subject::parse(subject)?;
        let body: Body<'_> = serde_json::from_slice(payload).map_err(DecodeError::Malformed)?;
        let metadata = Metadata::from(body.metadata.unwrap_or_default());
        if let Some(name) = &metadata.name
            && name != subject.name().as_str()
        {
            return Err(DecodeError::NameMismatch {
                subject: subject.name().as_str().into(),
                metadata: name.clone(),
            });
        }
        Ok(Self {
            kind: body.kind,
            id: MessageId::from_text(body.id).ok_or(DecodeError::EmptyId)?,
            timestamp: body.timestamp.parse()?,
            key: subject.key().map(|key| key.text().into_owned()),
            subject,
            metadata,
            data: body.data.to_owned(),
        })
    }

    /// The message, ready to become a type.
    pub fn encoded(&self) -> Encoded<'_> {
        Encoded {
            kind: self.kind,
            name: self.subject.name().as_str(),
            key: self.key.as_deref(),
            version: self.metadata.version.unwrap_or(1),
            data: &self.data,
        }
    }

    /// The id of the message that began the conversation: its own where it names none.
    pub fn correlation_id(&self) -> &str {
        self.metadata
            .correlation_id
            .as_deref()
            .unwrap_or(self.id.as_str())
    }
}

#[cfg(test)]
mod tests;
