//! A message whose data is still text.

use serde_json::value::{RawValue, to_raw_value};

use crate::{BoxError, DecodeError, Kind, Message, codec};

/// A message as it came: what it is, and its data as JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    /// The envelope's `type`.
    pub kind: Kind,
    /// The subject without the key.
    pub name: &'a str,
    /// The key's text, unescaped.
    pub key: Option<&'a str>,
    /// The revision of `data` that the sender wrote.
    pub version: u32,
    /// JSON text.
    pub data: &'a RawValue,
    /// The media type of the data where it is bytes, such as Protobuf; `data` is their base64 then.
    pub binary: Option<&'static str>,
}

impl Encoded<'_> {
    /// The message as an `M`.
    ///
    /// # Errors
    /// [`DecodeError`] says which of kind, name, version or data does not fit `M`.
    pub fn decode<M: Message>(self) -> Result<M, DecodeError> {
        let expected = M::TYPE;
        if self.kind != expected.kind {
            return Err(DecodeError::WrongKind {
                name: self.name.into(),
                expected: expected.kind,
                found: self.kind,
            });
        }
        if self.name != expected.name {
            return Err(DecodeError::unknown(self.name, &[expected]));
        }
        if self.version > expected.version {
            return Err(DecodeError::Incompatible {
                name: self.name.into(),
                found: self.version,
                known: expected.version,
            });
        }
        // Such a format reads its older versions by its own rules.
        if let Some(media_type) = self.binary {
            return self.decode_binary(media_type);
        }
        if self.version < expected.version {
            return M::older().read(self);
        }
        serde_json::from_str(self.data.get()).map_err(|source| DecodeError::Invalid {
            name: self.name.into(),
            source: source.into(),
        })
    }

    /// The data as JSON text, for people to look at: where it is bytes, those are read as an `M`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn json<M: Message>(self) -> Result<Box<RawValue>, DecodeError> {
        if self.binary.is_none() {
            return Ok(self.data.to_owned());
        }
        let name = self.name;
        to_raw_value(&self.decode::<M>()?).map_err(|error| DecodeError::Unfit {
            name: name.into(),
            reason: error.to_string(),
        })
    }

    fn decode_binary<M: Message>(self, media_type: &'static str) -> Result<M, DecodeError> {
        let unfit = |error: BoxError| DecodeError::Unfit {
            name: self.name.into(),
            reason: error.to_string(),
        };
        let bytes = codec::bytes_of(self.data).map_err(unfit)?;
        match M::CODEC.and_then(|codec| codec.decode(media_type, &bytes)) {
            Some(decoded) => decoded.map_err(unfit),
            None => Err(DecodeError::Codec {
                media_type,
                remedy: "its type here is read as JSON; add `codec = protobuf` to the type, and the feature `protobuf` of \
                         `tidewire` to the service",
            }),
        }
    }
}
