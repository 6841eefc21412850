//! What every format says, once it is read.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{DecodeError, Kind, MessageId, Metadata, Timestamp, cloud_events, wire};

/// A message without its subject.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) kind: Kind,
    pub(crate) id: MessageId,
    pub(crate) timestamp: Timestamp,
    pub(crate) metadata: Metadata,
    pub(crate) data: Box<RawValue>,
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

impl Parsed {
    /// Reads a message in whichever format its headers say; `received` is its time where it names none itself.
    pub(crate) fn read<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        payload: &[u8],
        received: Timestamp,
    ) -> Result<Self, DecodeError> {
        let mut structured = false;
        let mut content_type = None;
        let mut attributes = Vec::new();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(wire::TW_CONTRACT) && value != wire::CONTRACT {
                return Err(DecodeError::Contract {
                    found: value.to_owned(),
                });
            } else if name.eq_ignore_ascii_case(wire::CONTENT_TYPE) {
                structured = cloud_events::is_structured(value);
                content_type = Some(value);
            } else if let Some(attribute) = cloud_events::attribute(name) {
                attributes.push((attribute, value));
            }
        }
        if structured {
            cloud_events::read_structured(payload, received)
        } else if attributes.iter().any(|(name, _)| name == "specversion") {
            cloud_events::read_binary(&attributes, content_type, payload, received)
        } else {
            Self::read_envelope(payload)
        }
    }

    fn read_envelope(payload: &[u8]) -> Result<Self, DecodeError> {
        let body: Body<'_> = serde_json::from_slice(payload).map_err(DecodeError::Malformed)?;
        Ok(Self {
            kind: body.kind,
            id: MessageId::from_text(body.id).ok_or(DecodeError::EmptyId)?,
            timestamp: body.timestamp.parse()?,
            metadata: body.metadata.unwrap_or_default().into(),
            data: body.data.to_owned(),
        })
    }
}
