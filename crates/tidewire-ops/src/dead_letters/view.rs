//! A letter as somebody looks at it.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tidewire::{
    Format, Kind, Metadata, Parsed, Timestamp,
    dead_letter::{Import, Letter, Original, OriginalHeaders, Record, StoredRecord, Trouble},
};

use super::{AttemptView, Listed};
use crate::unpacked::unpacked;

/// A letter, its message read as far as it can be, and all that was done about it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LetterView {
    /// What a list says of it.
    #[serde(flatten)]
    pub listed: Listed,
    /// When the message was stored in its stream.
    pub stored: Timestamp,
    /// The causes of the last error, outermost first.
    pub chain: Vec<String>,
    /// The message's headers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// A header block that is none, as base64; a client that reads it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_headers: Option<String>,
    /// The message as it would be replayed.
    pub message: Message,
    /// Each attempt that failed.
    pub tries: Vec<AttemptView>,
    /// All that happened to it, oldest first.
    pub history: Vec<RecordView>,
}

/// A message read as far as it can be.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made for a letter that somebody looks at"
)]
pub enum Message {
    /// An envelope or a `CloudEvent`.
    #[non_exhaustive]
    Known {
        /// How it was written.
        format: Format,
        /// Event, command, query, reply or error.
        #[serde(rename = "type")]
        kind: Kind,
        /// Its identity.
        id: String,
        /// The media type of its data where that is bytes, such as Protobuf; `data` is their base64 then, unless somebody
        /// has [decoded](super::DeadLetters::decoded) them.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec: Option<&'static str>,
        /// The instance of the service that has decoded them.
        #[serde(skip_serializing_if = "Option::is_none")]
        decoded_by: Option<String>,
        /// Why nobody has, though somebody was asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_decoded: Option<String>,
        /// Its data, as it was written; MessagePack as JSON.
        data: Box<RawValue>,
        /// What the sender says beside the data.
        metadata: Metadata,
    },
    /// JSON of another kind, as it was written.
    Json {
        /// The whole body.
        json: Box<RawValue>,
    },
    /// Text.
    Text {
        /// The whole body.
        text: String,
    },
    /// Anything else.
    Bytes {
        /// The whole body; as base64 in JSON.
        #[serde(rename = "base64", serialize_with = "as_base64")]
        bytes: Bytes,
    },
}

/// One record: who did what, and when.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RecordView {
    /// Its place in the stream of dead letters.
    pub sequence: u64,
    /// When it was stored.
    pub time: Timestamp,
    /// What happened: `failed`, `replayed`, `handled`, `edited` or `discarded`; or `imported`, with all records that stand
    /// before it up to the import before.
    pub act: String,
    /// Who did it.
    pub by: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version of the service that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_version: Option<String>,
    /// The class of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What the error says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often the message had been tried by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The message that it holds, where it is another than the one that would be replayed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

impl LetterView {
    /// Reads a letter, beside its [attempts](super::DeadLetters::attempts); `None` where it holds no message.
    pub fn of(letter: &Letter, tries: Vec<AttemptView>) -> Option<Self> {
        let message = letter.message()?;
        let mut headers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in message.parsed_headers() {
            headers.entry(name.clone()).or_default().push(value.clone());
        }
        let broken = match &message.headers {
            OriginalHeaders::Broken(block) => Some(BASE64_STANDARD.encode(block)),
            OriginalHeaders::Parsed(_) => None,
        };
        Some(Self {
            listed: Listed::of(letter)?,
            stored: message.stored,
            chain: letter
                .trouble()
                .map(|trouble| trouble.chain.clone())
                .unwrap_or_default(),
            headers,
            broken_headers: broken,
            message: Message::of(message),
            tries,
            history: history(letter, message),
        })
    }
}

/// The records of a letter, and behind those that somebody imported who it was.
fn history(letter: &Letter, now: &Original) -> Vec<RecordView> {
    let records = letter.records();
    let mut history = Vec::new();
    for (index, stored) in records.iter().enumerate() {
        history.push(RecordView::of(stored, now));
        let who = |import: &Import| (import.by.clone(), import.from.clone());
        let next = records.get(index + 1).and_then(|next| next.imported.as_ref());
        if let Some(import) = &stored.imported
            && next.map(who) != Some(who(import))
        {
            history.push(RecordView::of_import(import, stored.sequence));
        }
    }
    history
}

impl Message {
    /// Reads the body of a message in whichever format it is.
    pub fn of(message: &Original) -> Self {
        let headers = message
            .parsed_headers()
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let unpacked = unpacked(headers.clone(), &message.payload);
        let parsed = unpacked.and_then(|payload| Parsed::read(headers, &payload, message.stored));
        if let Ok(parsed) = parsed {
            return Self::Known {
                format: parsed.format,
                kind: parsed.kind,
                id: parsed.id.to_string(),
                codec: parsed.binary,
                decoded_by: None,
                not_decoded: None,
                data: parsed.data,
                metadata: parsed.metadata,
            };
        }
        match (
            serde_json::from_slice(&message.payload),
            std::str::from_utf8(&message.payload),
        ) {
            (Ok(json), _) => Self::Json { json },
            (Err(_), Ok(text)) => Self::Text {
                text: text.to_owned(),
            },
            (Err(_), Err(_)) => Self::Bytes {
                bytes: message.payload.clone(),
            },
        }
    }
}

impl RecordView {
    /// Who brought the records here of which that at `sequence` is the last.
    fn of_import(import: &Import, sequence: u64) -> Self {
        Self {
            sequence,
            time: import.time,
            act: "imported".into(),
            by: import.by.clone(),
            reason: Some(format!("from {}", import.from)),
            service_version: None,
            class: None,
            error: None,
            attempts: None,
            message: None,
        }
    }

    /// A record beside the message that would be replayed now.
    fn of(stored: &StoredRecord, now: &Original) -> Self {
        let Record {
            act,
            by,
            reason,
            service_version,
            trouble,
            original,
            ..
        } = &stored.record;
        let of_trouble = |take: fn(&Trouble) -> String| trouble.as_ref().map(take);
        Self {
            sequence: stored.sequence,
            time: stored.time,
            act: act.to_string(),
            by: by.clone(),
            reason: reason.clone(),
            service_version: service_version.clone(),
            class: of_trouble(|trouble| trouble.class.clone()),
            error: of_trouble(|trouble| trouble.error.clone()),
            attempts: trouble.as_ref().map(|trouble| trouble.attempts),
            message: original
                .as_ref()
                .filter(|message| message.payload != now.payload)
                .map(Message::of),
        }
    }
}

fn as_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dead_letters::fixtures::original;

    fn shown(headers: &[(&str, &str)], payload: &'static [u8]) -> Value {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        serde_json::to_value(Message::of(&original(headers.collect(), payload))).unwrap()
    }

    fn event(headers: &[(&'static str, &'static str)], payload: &'static [u8]) -> Value {
        let attributes = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/x"),
            ("ce-type", "a.b.c.d"),
        ];
        shown(&[&attributes, headers].concat(), payload)
    }

    #[test]
    fn what_is_not_json_is_shown_for_what_it_is() {
        let packed = event(&[("Content-Type", "application/msgpack")], b"\x81\xa1a\x07");
        assert_eq!(packed["data"], json!({"a": 7}));
        let protobuf = event(&[("Content-Type", "application/protobuf")], b"\x0a\x01s");
        assert_eq!(
            (&protobuf["codec"], &protobuf["data"]),
            (&json!("application/protobuf"), &json!("CgFz"))
        );
    }

    #[test]
    fn what_is_compressed_or_elsewhere_is_shown_with_all_that_is_there() {
        // One block as it is: `7`.
        let zstd = b"\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00\x37";
        assert_eq!(event(&[("Content-Encoding", "zstd")], zstd)["data"], json!(7));
        let digest = "0000000000000000000000000000000000000000000000000000000000000000";
        let claimed = [
            ("ce-dataref", "nats-object:A__B__DATA/1"),
            ("ce-twdatasize", "9"),
            ("ce-twdatasha256", digest),
        ];
        let claimed = event(&claimed, b"");
        assert_eq!((&claimed["id"], &claimed["data"]), (&json!("1"), &Value::Null));
        assert_eq!(claimed["metadata"]["dataref"], "nats-object:A__B__DATA/1");
        // What does not decompress is bytes.
        assert_eq!(event(&[("Content-Encoding", "zstd")], b"\xff")["base64"], "/w==");
    }
}
