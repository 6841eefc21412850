//! How data is written that is not JSON.

use serde_json::value::{RawValue, to_raw_value};

use crate::{BoxError, DecodeError};

/// How the data of a message is written where that is not JSON. Such a message travels as a `CloudEvent` in binary mode, whose
/// body is its data.
///
/// A derive writes it for `codec = msgpack` and `codec = protobuf`:
///
/// ```
/// # #[cfg(feature = "msgpack")] {
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// use tidewire_core::{Event, Message};
///
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(subject = "plant.hall.sensor.measured", key = sensor, codec = msgpack)]
/// struct Measured {
///     sensor: String,
///     celsius: Vec<f64>,
/// }
/// assert_eq!(Measured::CODEC.unwrap().media_type(), "application/msgpack");
/// # }
/// ```
///
/// MessagePack data is that of JSON in fewer bytes: with the feature `msgpack` every handler reads it, whatever its type says.
/// Protobuf data is read by a type that says `codec = protobuf`, and is a [`prost::Message`](https://docs.rs/prost) with the
/// feature `protobuf`. JSON is read by both.
#[derive(Debug)]
pub struct Codec<M> {
    media_type: &'static str,
    encode: fn(&M) -> Result<Vec<u8>, BoxError>,
    /// `None` where the data was made JSON when the message was read.
    decode: Option<Decode<M>>,
}

type Decode<M> = fn(&[u8]) -> Result<M, BoxError>;

/// A type whose data can be written as MessagePack: each, with the feature.
#[diagnostic::on_unimplemented(
    message = "`codec = msgpack` needs the feature `msgpack` of `tidewire`",
    label = "cannot be written as MessagePack",
    note = "in Cargo.toml: `tidewire = {{ version = \"…\", features = [\"msgpack\"] }}`; `tidewire-core` has it, too"
)]
pub trait AsMessagePack: Sized {
    /// The value as MessagePack: structs as maps, and texts where JSON has texts.
    ///
    /// # Errors
    /// What serde says of it.
    fn to_message_pack(&self) -> Result<Vec<u8>, BoxError>;
}

/// A type whose data can be written and read as Protobuf.
#[cfg_attr(
    feature = "protobuf",
    diagnostic::on_unimplemented(
        message = "`{Self}` says `codec = protobuf` and is no Protobuf message",
        label = "not a `prost::Message`",
        note = "add `#[derive(prost::Message)]` to it, and `#[prost(…, tag = \"1\")]` to each field"
    )
)]
#[cfg_attr(
    not(feature = "protobuf"),
    diagnostic::on_unimplemented(
        message = "`codec = protobuf` needs the feature `protobuf` of `tidewire`",
        label = "cannot be written as Protobuf",
        note = "in Cargo.toml: `tidewire = {{ version = \"…\", features = [\"protobuf\"] }}`; `tidewire-core` has it, too"
    )
)]
pub trait AsProtobuf: Sized {
    /// The value as Protobuf.
    ///
    /// # Errors
    /// None; the signature is that of every codec.
    fn to_protobuf(&self) -> Result<Vec<u8>, BoxError>;

    /// The value that was written.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn from_protobuf(bytes: &[u8]) -> Result<Self, BoxError>;
}

#[cfg(feature = "msgpack")]
impl<M: serde::Serialize> AsMessagePack for M {
    fn to_message_pack(&self) -> Result<Vec<u8>, BoxError> {
        let mut bytes = Vec::new();
        let serializer = rmp_serde::Serializer::new(&mut bytes);
        self.serialize(&mut serializer.with_struct_map().with_human_readable())?;
        Ok(bytes)
    }
}

#[cfg(feature = "protobuf")]
impl<M: prost::Message + Default> AsProtobuf for M {
    fn to_protobuf(&self) -> Result<Vec<u8>, BoxError> {
        Ok(self.encode_to_vec())
    }

    fn from_protobuf(bytes: &[u8]) -> Result<Self, BoxError> {
        Ok(Self::decode(bytes)?)
    }
}

impl<M> Codec<M> {
    /// [MessagePack](https://msgpack.org), as `application/msgpack`.
    pub const fn message_pack() -> Self
    where
        M: AsMessagePack,
    {
        Self {
            media_type: "application/msgpack",
            encode: M::to_message_pack,
            decode: None,
        }
    }

    /// [Protobuf](https://protobuf.dev), as `application/protobuf`.
    pub const fn protobuf() -> Self
    where
        M: AsProtobuf,
    {
        Self {
            media_type: PROTOBUF,
            encode: M::to_protobuf,
            decode: Some(M::from_protobuf),
        }
    }

    /// What the header `Content-Type` says.
    pub const fn media_type(&self) -> &'static str {
        self.media_type
    }

    pub(crate) fn encode(&self, message: &M) -> Result<Vec<u8>, BoxError> {
        (self.encode)(message)
    }

    /// The message in bytes of `media_type`; `None` where that is another codec's.
    pub(crate) fn decode(&self, media_type: &str, bytes: &[u8]) -> Option<Result<M, BoxError>> {
        let decode = self.decode.filter(|_| self.media_type == media_type)?;
        Some(decode(bytes))
    }
}

/// Protobuf, under the one name that is written.
pub(crate) const PROTOBUF: &str = "application/protobuf";

/// Data of a received message as JSON text, and the media type of what is in it where that is bytes, as base64.
pub(crate) type Data = (Box<RawValue>, Option<&'static str>);

/// Reads data of the media type that a message says; JSON where it says none.
pub(crate) fn read(media_type: Option<&str>, bytes: &[u8]) -> Result<Data, DecodeError> {
    let essence = media_type.unwrap_or("application/json").split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        PROTOBUF | "application/x-protobuf" | "application/vnd.google.protobuf" => {
            let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
            Ok((
                to_raw_value(&text).map_err(DecodeError::malformed)?,
                Some(PROTOBUF),
            ))
        }
        _ if bytes.is_empty() => Ok((RawValue::NULL.to_owned(), None)),
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
            Ok((json_of_message_pack(bytes)?, None))
        }
        json if is_json(json) => Ok((
            serde_json::from_slice(bytes).map_err(DecodeError::malformed)?,
            None,
        )),
        _ => Err(DecodeError::CloudEvent(format!(
            "the data is `{essence}`, and this service reads JSON data, MessagePack and Protobuf"
        ))),
    }
}

/// Whether a media type, in lower case and without parameters, is JSON's.
pub(crate) fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// The bytes in data that is base64.
pub(crate) fn bytes_of(data: &RawValue) -> Result<Vec<u8>, BoxError> {
    let text: String = serde_json::from_str(data.get())?;
    Ok(base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text)?)
}

#[cfg(feature = "msgpack")]
fn json_of_message_pack(bytes: &[u8]) -> Result<Box<RawValue>, DecodeError> {
    /// As deep as `serde_json` reads.
    const DEEPEST: usize = 128;

    let wrong = |error: &dyn std::fmt::Display| DecodeError::MessagePack(error.to_string());
    let mut from = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    from.set_max_depth(DEEPEST);
    let mut json = Vec::with_capacity(bytes.len() * 2);
    serde_transcode::transcode(&mut from, &mut serde_json::Serializer::new(&mut json))
        .map_err(|error| wrong(&error))?;
    if usize::try_from(from.position()) != Ok(bytes.len()) {
        return Err(wrong(&"something follows it"));
    }
    serde_json::from_slice(&json).map_err(|error| wrong(&error))
}

#[cfg(not(feature = "msgpack"))]
fn json_of_message_pack(_: &[u8]) -> Result<Box<RawValue>, DecodeError> {
    Err(DecodeError::Codec {
        media_type: "application/msgpack",
        remedy: "this service was built without that; add the feature `msgpack` of `tidewire`",
    })
}
