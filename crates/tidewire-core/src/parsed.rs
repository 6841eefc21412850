//! What every format says, once it is read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{DecodeError, Format, Kind, MessageId, Metadata, Timestamp, cloud_events, wire};

/// What a message says of itself, whatever its subject: for tools that look at subjects of every kind.
///
/// A handler reads an [`Envelope`](crate::Envelope), whose subject is one of ours and agrees with it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// How it was written.
    pub format: Format,
    /// Event, command, query, reply or error.
    pub kind: Kind,
    /// The message's identity.
    pub id: MessageId,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// What the sender says beside the data.
    pub metadata: Metadata,
    /// JSON text.
    pub data: Box<RawValue>,
    /// The media type of the data where it is bytes, such as Protobuf; `data` is their base64 then.
    pub binary: Option<&'static str>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    id: String,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl Parsed {
    /// Reads a message in whichever format its headers say; `received` is its time where it names none itself.
    ///
    /// # Errors
    /// [`DecodeError`] where the message is in no known format.
    pub fn read<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        payload: &[u8],
        received: Timestamp,
    ) -> Result<Self, DecodeError> {
        let mut structured = false;
        let mut content_type = None;
        let mut attributes = Vec::new();
        let mut contract = None;
        // A closure: what `headers` is made of runs through it without a stop at each of them.
        headers.for_each(|(name, value)| {
            if name.eq_ignore_ascii_case(wire::TW_CONTRACT) && value != wire::CONTRACT {
                contract.get_or_insert(value);
            } else if name.eq_ignore_ascii_case(wire::CONTENT_TYPE) {
                structured = cloud_events::is_structured(value);
                content_type = Some(value);
            } else if let Some(attribute) = cloud_events::attribute(name) {
                attributes.push((attribute, value));
            }
        });
        if let Some(found) = contract {
            return Err(DecodeError::Contract {
                found: found.to_owned(),
            });
        }
        if structured {
            cloud_events::read_structured(payload, received)
        } else if attributes.iter().any(|(name, _)| name == "specversion") {
            cloud_events::read_binary(&attributes, content_type, payload, received)
        } else {
            // Before NATS had headers its binding was structured mode alone, and some producers still write that.
            Self::read_envelope(payload).or_else(|error| {
                if cloud_events::is_structured_body(payload) {
                    return cloud_events::read_structured(payload, received);
                }
                Err(error)
            })
        }
    }

    fn read_envelope(payload: &[u8]) -> Result<Self, DecodeError> {
        let body: Body<'_> = serde_json::from_slice(payload).map_err(DecodeError::malformed)?;
        Ok(Self {
            format: Format::Tidewire,
            kind: body.kind,
            id: MessageId::from_text(body.id).ok_or(DecodeError::EmptyId)?,
            timestamp: body.timestamp.parse().map_err(|_| DecodeError::Timestamp)?,
            metadata: body.metadata.unwrap_or_default(),
            data: body.data.to_owned(),
            binary: None,
        })
    }
}
