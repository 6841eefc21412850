//! Events of every type.

use serde_json::value::RawValue;

use crate::{DecodeError, Encoded, EventSet, Kind, MessageManifest, MessageType};

/// An event whatever its type, its data left as JSON: for a handler that takes all that a filter matches.
#[derive(Clone, Debug)]
pub struct Any {
    /// The subject without the key.
    pub name: String,
    /// The key's text, if the message has one.
    pub key: Option<String>,
    /// The revision of `data` that the sender wrote.
    pub version: u32,
    /// The event's data as JSON text; what is Protobuf is text in base64.
    pub data: Box<RawValue>,
}

impl EventSet for Any {
    const TYPES: &'static [MessageType] = &[];

    fn decode(encoded: Encoded<'_>) -> Result<Self, DecodeError> {
        if encoded.kind != Kind::Event {
            return Err(DecodeError::WrongKind {
                name: encoded.name.into(),
                expected: Kind::Event,
                found: encoded.kind,
            });
        }
        Ok(Self {
            name: encoded.name.into(),
            key: encoded.key.map(Into::into),
            version: encoded.version,
            data: encoded.data.to_owned(),
        })
    }

    fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError> {
        match encoded.binary {
            None => Ok(encoded.data.to_owned()),
            Some(media_type) => Err(DecodeError::Codec {
                media_type,
                remedy: "its handler takes `Any`, `Raw` or `Json` and knows no type of it; look at it with its own program",
            }),
        }
    }

    fn manifest() -> Vec<(MessageType, MessageManifest)> {
        Vec::new()
    }
}
