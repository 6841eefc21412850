//! Why a message could not be understood.

use tidewire_subject::SubjectError;

use crate::{InvalidJson, Kind, MessageType, Mismatch, wire};

/// A message that cannot be understood, and why. Trying again does not help: the code or the sender must change.
///
/// No text here shows what was in the body, for it goes to logs; only `metadata.name`, where it reads as a name.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body is not an envelope.
    #[error("the body is not an envelope (a JSON object with type, id, timestamp, data, metadata): {0}")]
    Malformed(#[source] InvalidJson),

    /// The body is not JSON, and the handler takes it as such.
    #[error("the body is not JSON: {0}")]
    NotJson(#[source] InvalidJson),

    /// The subject is not one of ours.
    #[error("the subject is not <domain>[.v<major>].<context>.<entity>.<action>[.<key>]: {0}")]
    Subject(#[from] SubjectError),

    /// The message speaks a wire contract that this code does not know.
    #[error("the message speaks wire contract `{found}` and this service knows 1; upgrade the service")]
    Contract {
        /// The contract in the `Tw-Contract` header.
        found: String,
    },

    /// The message says that it is a `CloudEvent`, and is none that this code reads.
    #[error("not a CloudEvent that this service reads: {0}")]
    CloudEvent(String),

    /// The id is empty.
    #[error("the envelope's id is empty; give every message an id of its own")]
    EmptyId,

    /// The timestamp is not RFC 3339.
    #[error("the message's time is not RFC 3339; write for example 2026-03-20T10:00:00Z")]
    Timestamp,

    /// `metadata.name` contradicts the subject.
    #[error(
        "metadata.name is {} but the subject says `{subject}`; the sender must make them agree",
        quoted(.metadata.as_deref())
    )]
    NameMismatch {
        /// The name in the subject.
        subject: String,
        /// The name in the metadata; `None` where that is no name, for it may then be anything.
        metadata: Option<String>,
    },

    /// `Tw-Subject` contradicts the subject under which a command was queued.
    #[error(
        "Tw-Subject is {} but the command was queued for `{queued}`; the sender must make them agree, or leave \
         Tw-Subject out",
        .header.as_ref().map_or_else(|| "no subject".into(), |header| format!("`{header}`"))
    )]
    SubjectMismatch {
        /// What stands behind `queue.`.
        queued: String,
        /// What the header says; `None` where that is no subject, for it may then be anything.
        header: Option<String>,
    },

    /// A parked message does not say where it was sent to.
    #[error(
        "a message under `{prefix}` says in Tw-Subject where it was sent to, and this one has no such header"
    )]
    NoRealSubject {
        /// The purpose for which it is parked.
        prefix: &'static str,
    },

    /// The envelope's `type` is not what the handler takes.
    #[error("`{name}` came with type `{found}`, and the handler takes type `{expected}`")]
    WrongKind {
        /// The message's name.
        name: String,
        /// What the handler takes.
        expected: Kind,
        /// What came.
        found: Kind,
    },

    /// The handler does not take this message.
    #[error("`{name}` is none of the messages that the handler takes: {expected}")]
    Unknown {
        /// The message's name.
        name: String,
        /// The names that the handler takes.
        expected: String,
    },

    /// The message is newer than the code.
    #[error("`{name}` is version {found} and this service knows up to {known}; upgrade the service")]
    Incompatible {
        /// The message's name.
        name: String,
        /// The version that came.
        found: u32,
        /// The newest version that the code knows.
        known: u32,
    },

    /// The message is older than the code can read.
    #[error(
        "`{name}` is version {found} and this service reads it from version {oldest} on; say how an older one becomes \
         version {oldest}: by `from = …`, or by `patch({} = …)`, in the attribute of the type of version {oldest}",
        .oldest.saturating_sub(1)
    )]
    Outdated {
        /// The message's name.
        name: String,
        /// The version that came.
        found: u32,
        /// The oldest version that the code reads.
        oldest: u32,
    },

    /// The data of an older version is not what its patch expects.
    #[error("the data of `{name}` in version {version} cannot be patched to version {}: {reason}", .version + 1)]
    Unpatched {
        /// The message's name.
        name: String,
        /// The version that the patch is for.
        version: u32,
        /// Which operation of the patch failed, and why.
        reason: String,
    },

    /// The data breaks the message's schema.
    #[error("the data of `{name}` breaks the schema of version {version}: {source}")]
    BreaksSchema {
        /// The message's name.
        name: String,
        /// The version whose schema it is.
        version: u32,
        /// Where, and what is expected there.
        #[source]
        source: Mismatch,
    },

    /// The body is compressed in a way that this code does not undo.
    #[error("the body is compressed as `{found}`, and {}", undone(.found))]
    Encoding {
        /// What the `Content-Encoding` header says.
        found: String,
    },

    /// The body is not what its `Content-Encoding` says.
    #[error("the body is not the zstd that its Content-Encoding says: {0}")]
    NotCompressed(String),

    /// The body, once nothing hides its size any more, is larger than the service takes.
    #[error(
        "the body has more than {limit} bytes once it is unpacked, which is the service's limit; if it is meant to, raise \
         the limit with `.body_limit(…)` and replay the message"
    )]
    TooLarge {
        /// The most that is unpacked, in bytes.
        limit: usize,
    },

    /// The message says that its data lies elsewhere, and not where this code looks.
    #[error("the message has no body, and its dataref {0}")]
    DataRef(String),

    /// The object that holds the data is another one than the message says.
    #[error(
        "the object `{object}` of the bucket {bucket} is not what the message says: its size or its SHA-256 differs; put \
         the right one back and replay the message"
    )]
    Corrupt {
        /// The bucket.
        bucket: String,
        /// The object's name.
        object: String,
    },

    /// The data is written in a way that is not read here.
    #[error("the data is `{media_type}`, and {remedy}")]
    Codec {
        /// How it is written.
        media_type: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },

    /// The data is not the `MessagePack` that it says.
    #[error("the data is not MessagePack that can be read: {0}")]
    MessagePack(String),

    /// The data, which is not JSON, does not fit the message's type.
    #[error("the data of `{name}` does not fit its type: {reason}")]
    Unfit {
        /// The message's name.
        name: String,
        /// What the codec says of it.
        reason: String,
    },

    /// The data does not fit the message's type.
    #[error("the data of `{name}` does not fit its type: {source}")]
    Invalid {
        /// The message's name.
        name: String,
        /// What serde says of it.
        #[source]
        source: InvalidJson,
    },
}

impl DecodeError {
    /// A body that was to be an envelope.
    pub(crate) fn malformed(error: serde_json::Error) -> Self {
        Self::Malformed(error.into())
    }

    /// The body of a message on `subject`, which was to be the JSON of a type.
    pub fn of_json(subject: &str, error: serde_json::Error) -> Self {
        let source = InvalidJson::from(error);
        if source.is_syntax() {
            return Self::NotJson(source);
        }
        Self::Invalid {
            name: subject.into(),
            source,
        }
    }

    /// A message that none of `expected` describes.
    pub fn unknown(name: &str, expected: &[MessageType]) -> Self {
        let names: Vec<_> = expected.iter().map(|t| format!("`{}`", t.name)).collect();
        Self::Unknown {
            name: name.into(),
            expected: names.join(", "),
        }
    }

    /// The error class on the wire: `malformed`, `incompatible`, `invalid`, `too_large` or `corrupt`.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Incompatible { .. }
            | Self::Outdated { .. }
            | Self::Contract { .. }
            | Self::Encoding { .. }
            | Self::Codec { .. } => "incompatible",
            Self::TooLarge { .. } => "too_large",
            Self::Corrupt { .. } => "corrupt",
            Self::Invalid { .. }
            | Self::BreaksSchema { .. }
            | Self::Unpatched { .. }
            | Self::Unfit { .. } => "invalid",
            _ => "malformed",
        }
    }
}

fn quoted(name: Option<&str>) -> String {
    name.map_or_else(|| "no name".into(), |name| format!("`{name}`"))
}

/// What would undo an encoding.
fn undone(encoding: &str) -> &'static str {
    if cfg!(not(feature = "zstd")) && encoding == wire::ZSTD {
        "this service was built without that; add the feature `zstd` of `tidewire`"
    } else {
        "this service reads zstd; the sender must change"
    }
}
