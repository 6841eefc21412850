//! A message as it came off the wire.

use serde_json::value::RawValue;
use tidewire_subject::{MessageName, Subject};

use crate::{
    DecodeError, Encoded, Kind, MessageId, Metadata, Timestamp,
    parsed::Parsed,
    purpose::{is_parked, real_subject, tw_subject},
};

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
    /// Where it was sent to, without any purpose prefix: the name, and the key if it has one.
    pub subject: Subject,
    /// What the sender says beside the data.
    pub metadata: Metadata,
    key: Option<String>,
    data: Box<RawValue>,
    binary: Option<&'static str>,
}

impl Envelope {
    /// Reads a message that came on `subject`, in whichever format its `headers` say; `received` is its time where it
    /// names none itself. Where `subject` has a purpose prefix, its own one is taken, as [`real_subject`] says.
    ///
    /// # Errors
    /// [`DecodeError`] where the message is in no known format, or contradicts its subject. The sender must change.
    pub fn decode<'a>(
        subject: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        payload: &[u8],
        received: Timestamp,
    ) -> Result<Self, DecodeError> {
        if !is_parked(subject) {
            return Self::read(subject, headers, payload, received);
        }
        let headers: Vec<_> = headers.collect();
        let real = real_subject(subject, tw_subject(headers.iter().copied()))?;
        Self::read(real, headers.into_iter(), payload, received)
    }

    fn read<'a>(
        subject: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        payload: &[u8],
        received: Timestamp,
    ) -> Result<Self, DecodeError> {
        let subject = Subject::parse(subject)?;
        let Parsed {
            kind,
            id,
            timestamp,
            metadata,
            data,
            binary,
            ..
        } = Parsed::read(headers, payload, received)?;
        if let Some(name) = &metadata.name
            && name != subject.name().as_str()
        {
            return Err(DecodeError::NameMismatch {
                subject: subject.name().as_str().into(),
                metadata: MessageName::parse(name).is_ok().then(|| name.clone()),
            });
        }
        let key = subject.key().map(|key| key.text().into_owned());
        Ok(Self {
            kind,
            id,
            timestamp,
            subject,
            metadata,
            key,
            data,
            binary,
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
            binary: self.binary,
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
