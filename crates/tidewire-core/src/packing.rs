//! Messages whose body is compressed, and messages whose data lies elsewhere (a claim check).
//!
//! A message whose data lies elsewhere is a `CloudEvent` in binary mode without a body: its headers say all that its
//! envelope would, and `ce-dataref` names the object that is its data.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error as _;
use sha2::{Digest, Sha256};

use crate::{
    DecodeError, EncodeError, MessageId, Outgoing, Parsed, Timestamp, cloud_events, extras::check_size, wire,
};

/// What keeps the body of a received message from being read as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    compressed: bool,
    claim: Option<Claim>,
}

/// Where the data of a message lies, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The bucket of the object store. Whoever reads compares it with that of the message's context: a message names no
    /// other one.
    pub bucket: String,
    /// The object's name.
    pub object: String,
    /// Its size in bytes.
    pub size: usize,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// What is before the bucket in a `dataref`.
const SCHEME: &str = "nats-object:";
/// What an object's name keeps of an id as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The headers that say how a message is packed.
const HEADERS: [&str; 4] = [
    wire::CONTENT_ENCODING,
    wire::DATAREF,
    wire::DATA_SIZE,
    wire::DATA_SHA256,
];

impl Packing {
    /// How a received message is packed; `None` for one that is not. A `dataref` beside a body is the sender's own.
    ///
    /// # Errors
    /// [`DecodeError`] where it is packed in a way that this code does not undo.
    pub fn of<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Result<Option<Self>, DecodeError> {
        let mut found = [None; HEADERS.len()];
        headers.for_each(|(name, value)| {
            if let Some(at) = position(name) {
                found[at] = Some(value);
            }
        });
        let [encoding, dataref, size, sha256] = found;
        let compressed = match encoding.map(str::trim) {
            None | Some("") => false,
            Some(encoding) if encoding.eq_ignore_ascii_case("identity") => false,
            Some(encoding) if encoding.eq_ignore_ascii_case(wire::ZSTD) => true,
            Some(encoding) => return Err(encoded_as(encoding)),
        };
        let claim = match dataref {
            Some(dataref) if body.is_empty() => Some(Claim::read(dataref, size, sha256)?),
            _ => None,
        };
        Ok((compressed || claim.is_some()).then_some(Self { compressed, claim }))
    }

    /// Whether a header says how a message is packed: without the packing it is not true any more.
    pub fn is_header(name: &str) -> bool {
        position(name).is_some()
    }

    /// Where the data lies; `None` where it is the body.
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// The body, once it has been fetched if it lay elsewhere, as it was before it was packed.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] as soon as there are more than `limit` bytes of it, and [`DecodeError`] where it is not
    /// what it says.
    pub fn unpack(&self, body: Bytes, limit: usize) -> Result<Bytes, DecodeError> {
        if body.len() > limit {
            return Err(DecodeError::TooLarge { limit });
        }
        if !self.compressed {
            return Ok(body);
        }
        decompress(&body, limit)
    }
}

/// Which of the headers it is. Nearly all are none: their length says so at once.
fn position(name: &str) -> Option<usize> {
    HEADERS
        .iter()
        .position(|known| known.len() == name.len() && known.eq_ignore_ascii_case(name))
}

fn encoded_as(encoding: &str) -> DecodeError {
    DecodeError::Encoding {
        found: encoding.to_ascii_lowercase(),
    }
}

#[cfg(feature = "zstd")]
fn decompress(body: &[u8], limit: usize) -> Result<Bytes, DecodeError> {
    use std::io::Read;

    /// A decoder keeps that much of what it wrote (2^23 bytes are what the format's specification asks of every one), or
    /// as much as may come of it at all.
    const SMALLEST_WINDOW: u32 = 23;
    const LARGEST_WINDOW: u32 = 31;

    let wrong = |error: std::io::Error| DecodeError::NotCompressed(error.to_string());
    // More may follow behind the first frame; less than this does not come of it.
    let declared = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let declared = usize::try_from(declared.unwrap_or(0)).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    let window = usize::BITS - limit.leading_zeros();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(wrong)?;
    decoder
        .window_log_max(window.clamp(SMALLEST_WINDOW, LARGEST_WINDOW))
        .map_err(wrong)?;
    let mut whole = Vec::with_capacity(declared.max(body.len()).min(limit));
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut whole).map_err(wrong)?;
    if whole.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    Ok(whole.into())
}

#[cfg(not(feature = "zstd"))]
fn decompress(_: &[u8], _: usize) -> Result<Bytes, DecodeError> {
    Err(encoded_as(wire::ZSTD))
}

impl Claim {
    /// The claim for data that goes to `bucket`. The object is named after the message and after what it holds: the same
    /// message with the same data names the same object, and no other one ever does.
    pub fn new(bucket: String, id: &MessageId, data: &[u8]) -> Self {
        let sha256 = hex(data);
        Self {
            bucket,
            object: format!("{}.{sha256}", utf8_percent_encode(id.as_str(), KEPT)),
            size: data.len(),
            sha256,
        }
    }

    fn read(dataref: &str, size: Option<&str>, sha256: Option<&str>) -> Result<Self, DecodeError> {
        let wrong = |why: &str| DecodeError::DataRef(why.to_owned());
        let place = dataref
            .strip_prefix(SCHEME)
            .and_then(|place| place.split_once('/'));
        let (bucket, object) = place.ok_or_else(|| wrong("is none of `nats-object:BUCKET/OBJECT`"))?;
        let size = size.and_then(|size| size.parse().ok());
        let is_digest = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(Self {
            bucket: bucket.to_owned(),
            object: object.to_owned(),
            size: size.ok_or_else(|| wrong("comes without a size in `ce-twdatasize`"))?,
            sha256: sha256
                .filter(is_digest)
                .ok_or_else(|| wrong("comes without a SHA-256 in `ce-twdatasha256`"))?
                .to_ascii_lowercase(),
        })
    }

    /// Whether this is the object that was meant.
    ///
    /// # Errors
    /// [`DecodeError::Corrupt`] where it is not.
    pub fn check(&self, object: &[u8]) -> Result<(), DecodeError> {
        if object.len() == self.size && hex(object) == self.sha256 {
            return Ok(());
        }
        Err(DecodeError::Corrupt {
            bucket: self.bucket.clone(),
            object: self.object.clone(),
        })
    }
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl Outgoing {
    /// The same message with its body compressed; as it is where that would not make it smaller.
    ///
    /// # Errors
    /// [`EncodeError::HeadersTooLarge`] where there is no room for the header that says so.
    #[cfg(feature = "zstd")]
    pub fn compressed(mut self) -> Result<Self, EncodeError> {
        let is_packed = self.headers.iter().any(|(name, _)| Packing::is_header(name));
        let smaller = zstd::bulk::compress(&self.body, zstd::DEFAULT_COMPRESSION_LEVEL);
        if let Some(smaller) = smaller.ok().filter(|smaller| smaller.len() < self.body.len())
            && !is_packed
        {
            self.body = smaller.into();
            self.headers
                .push((wire::CONTENT_ENCODING.into(), wire::ZSTD.to_owned()));
            self.check_headers()?;
        }
        Ok(self)
    }

    /// The same message as a `CloudEvent` in binary mode, whose body is its data and nothing else.
    ///
    /// # Errors
    /// [`EncodeError::HeadersTooLarge`] where its metadata does not fit into headers.
    pub fn into_binary(mut self) -> Result<Self, EncodeError> {
        let mut names = self.headers.iter().map(|(name, _)| &**name);
        if names.any(|name| cloud_events::attribute(name).is_some()) {
            return Ok(self);
        }
        let data = |source| EncodeError::Data {
            name: self.subject.name().to_string(),
            source,
        };
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let read = Parsed::read(headers, &self.body, Timestamp::default());
        let read = read.map_err(|error| data(serde_json::Error::custom(error)))?;
        let (kind, id, time, metadata) = (read.kind, &read.id, read.timestamp, &read.metadata);
        let (headers, body) =
            cloud_events::write_binary(kind, id, time, metadata, &read.data).map_err(data)?;
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case(wire::CONTENT_TYPE));
        self.headers
            .extend(headers.into_iter().map(|(name, value)| (name.into(), value)));
        self.body = body.into();
        self.check_headers()?;
        Ok(self)
    }

    /// The same message without its body, which is the object of `claim` from now on.
    ///
    /// # Errors
    /// [`EncodeError::HeadersTooLarge`] where there is no room for the headers that name it.
    pub fn claimed(mut self, claim: &Claim) -> Result<Self, EncodeError> {
        self.body = Bytes::new();
        self.headers.extend([
            (
                wire::DATAREF.into(),
                format!("{SCHEME}{}/{}", claim.bucket, claim.object),
            ),
            (wire::DATA_SIZE.into(), claim.size.to_string()),
            (wire::DATA_SHA256.into(), claim.sha256.clone()),
        ]);
        self.check_headers()?;
        Ok(self)
    }

    fn check_headers(&self) -> Result<(), EncodeError> {
        check_size(self.headers.iter().map(|(name, value)| (&**name, value.as_str())))
    }
}

#[cfg(test)]
mod tests;
