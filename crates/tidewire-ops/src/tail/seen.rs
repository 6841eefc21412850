//! One message as it passed by.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tidewire::{
    DecodeError, Envelope, Format, Kind, Metadata, Parsed, Timestamp,
    async_nats::{HeaderMap, Message},
};

use crate::{api, unpacked::unpacked};

/// A message that passed by, or that a stream had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// When it was sent, where it says so; otherwise when it was stored, or came here.
    pub time: Timestamp,
    /// Its subject.
    pub subject: String,
    /// The stream that it was read from, and its place there; `None` where it came live.
    pub stored: Option<(String, u64)>,
    /// Its headers, in their order.
    pub headers: Vec<(String, String)>,
    /// What it says.
    pub content: Content,
    /// Why a handler of Tidewire would not take it.
    pub problem: Option<DecodeError>,
    payload: Bytes,
}

/// What a message says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// An envelope or a `CloudEvent`.
    Known(Box<Parsed>),
    /// Anything else.
    Raw(Bytes),
}

impl Seen {
    pub(super) fn live(message: Message) -> Self {
        let subject = message.subject.to_string();
        Self::new(
            subject,
            api::now(),
            None,
            message.headers.as_ref(),
            message.payload,
        )
    }

    pub(super) fn new(
        subject: String,
        time: Timestamp,
        stored: Option<(String, u64)>,
        headers: Option<&HeaderMap>,
        payload: Bytes,
    ) -> Self {
        let headers = api::pairs(headers);
        let given = || headers.iter().map(|(name, value)| (&**name, &**value));
        let unpacked = unpacked(given(), &payload);
        let parsed = unpacked
            .clone()
            .and_then(|body| Parsed::read(given(), &body, time));
        let envelope = unpacked.and_then(|body| Envelope::decode(&subject, given(), &body, time));
        // That a subject is not of the grammar is no fault of a foreign message.
        let problem = envelope
            .err()
            .filter(|error| !matches!(error, DecodeError::Subject(_) | DecodeError::NoRealSubject { .. }));
        let (time, content) = match parsed {
            Ok(parsed) => (parsed.timestamp, Content::Known(Box::new(parsed))),
            Err(_) => (time, Content::Raw(payload.clone())),
        };
        Self {
            time,
            subject,
            stored,
            headers,
            content,
            problem,
            payload,
        }
    }

    /// What is the same in a message that came live and was stored: the server adds headers of its own to neither.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        let mut text = format!("{}\n{:?}\n", self.subject, self.headers).into_bytes();
        text.extend_from_slice(&self.payload);
        text
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            time: Timestamp,
            subject: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            stream: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            sequence: Option<u64>,
            #[serde(flatten)]
            content: Said<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            problem: Option<String>,
            headers: BTreeMap<&'a str, Vec<&'a str>>,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Said<'a> {
            Known {
                format: Format,
                #[serde(rename = "type")]
                kind: Kind,
                id: &'a str,
                data: &'a RawValue,
                metadata: &'a Metadata,
            },
            Text {
                format: &'static str,
                text: &'a str,
            },
            Bytes {
                format: &'static str,
                base64: String,
            },
        }
        let mut headers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in &self.headers {
            headers.entry(&**name).or_default().push(&**value);
        }
        let stored = self.stored.as_ref();
        let content = match &self.content {
            Content::Known(parsed) => Said::Known {
                format: parsed.format,
                kind: parsed.kind,
                id: parsed.id.as_str(),
                data: &parsed.data,
                metadata: &parsed.metadata,
            },
            Content::Raw(payload) => match std::str::from_utf8(payload) {
                Ok(text) => Said::Text { format: "raw", text },
                Err(_) => Said::Bytes {
                    format: "raw",
                    base64: BASE64_STANDARD.encode(payload),
                },
            },
        };
        let line = Line {
            time: self.time,
            subject: &self.subject,
            stream: stored.map(|(stream, _)| &**stream),
            sequence: stored.map(|(_, sequence)| *sequence),
            content,
            problem: self.problem.as_ref().map(ToString::to_string),
            headers,
        };
        line.serialize(serializer)
    }
}
