//! A message as its stream had it, byte for byte, on its way through another stream.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{Timestamp, extras::HEADERS_LIMIT, wire};

/// A message as its stream had it: what a dead letter, a replay and a parked message carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its stream.
    pub stream: String,
    /// When that stream was made: a stream that was deleted and made again counts from 1 again.
    pub created: Timestamp,
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was stored.
    pub stored: Timestamp,
    /// Where it was sent to.
    pub subject: String,
    /// Its headers.
    pub headers: OriginalHeaders,
    /// Its body.
    pub payload: Bytes,
}

/// Headers as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginalHeaders {
    /// Names and values, one by one.
    Parsed(Vec<(String, String)>),
    /// A header block that is none: poison to a client that parses it.
    Broken(Bytes),
}

/// A message in the form in which it is stored a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// Header names and values; no value holds a line break.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The payload, or the original's header block and payload.
    pub body: Bytes,
    /// Too large for any message: `body` goes into the object store first, and the message names the object in
    /// [`wire::TW_OBJECT`] and has no body.
    pub oversized: bool,
}

/// A stored message that does not say what it was.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the stored message does not say what it was: the header `{header}` is missing or no {expected}")]
pub struct UnreadableOriginal {
    header: &'static str,
    expected: &'static str,
}

/// What the server and its client write around names, values and the header block.
const LINE: usize = 4;
const FRAME: usize = 16;
/// Room below the server's limits for what it adds itself, such as a batch's headers.
const SPARE: usize = 512;

impl Original {
    /// The message's headers where they can be read.
    pub fn parsed_headers(&self) -> &[(String, String)] {
        match &self.headers {
            OriginalHeaders::Parsed(headers) => headers,
            OriginalHeaders::Broken(_) => &[],
        }
    }

    /// Writes the message with `beside`, so that a server whose largest message has `max_payload` bytes takes it: what
    /// does not fit moves, in this order, the values that `beside` may lose, the headers, the body.
    ///
    /// `expendable` names the header of `beside` that is cut first.
    pub fn wrap(
        &self,
        beside: Vec<(Cow<'static, str>, String)>,
        expendable: &str,
        max_payload: usize,
    ) -> Wrapped {
        let mut ours = self.place();
        ours.extend(beside);
        if let OriginalHeaders::Parsed(headers) = &self.headers {
            let fits = |ours: &[(Cow<'static, str>, String)]| {
                let theirs: usize = headers
                    .iter()
                    .map(|(name, value)| wire::ORIGINAL.len() + name.len() + value.len() + LINE)
                    .sum();
                let size = size(ours) + theirs;
                size <= HEADERS_LIMIT - SPARE
                    && size + self.payload.len() <= max_payload.saturating_sub(SPARE)
            };
            if !fits(&ours) {
                let without: Vec<_> = ours
                    .iter()
                    .filter(|(name, _)| name != expendable)
                    .cloned()
                    .collect();
                if fits(&without) {
                    ours = without;
                }
            }
            if fits(&ours) {
                ours.extend(
                    headers.iter().map(|(name, value)| {
                        (Cow::Owned(format!("{}{name}", wire::ORIGINAL)), value.clone())
                    }),
                );
                return Wrapped {
                    headers: ours,
                    body: self.payload.clone(),
                    oversized: false,
                };
            }
        }
        let block = self.header_block();
        ours.push((wire::TW_FORMAT.into(), "raw".into()));
        ours.push((wire::TW_HEADER_SIZE.into(), block.len().to_string()));
        let body = [block, self.payload.clone()].concat();
        let oversized = size(&ours) + body.len() > max_payload.saturating_sub(SPARE);
        Wrapped {
            headers: ours,
            body: body.into(),
            oversized,
        }
    }

    /// Reads a wrapped message; `body` is what the object holds where the headers name one.
    ///
    /// # Errors
    /// [`UnreadableOriginal`] where it was written by something else.
    pub fn unwrap<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &Bytes,
    ) -> Result<Self, UnreadableOriginal> {
        let mut place = Place::default();
        let mut theirs = Vec::new();
        for (name, value) in headers {
            if let Some(name) = name.strip_prefix(wire::ORIGINAL) {
                theirs.push((name.to_owned(), value.to_owned()));
            } else {
                place.take(name, value);
            }
        }
        let missing = |header, expected| UnreadableOriginal { header, expected };
        let (headers, payload) = match place.header_size {
            None => (OriginalHeaders::Parsed(theirs), body.clone()),
            Some(size) if size <= body.len() => {
                let block = body.slice(..size);
                let headers =
                    parse_block(&block).map_or(OriginalHeaders::Broken(block), OriginalHeaders::Parsed);
                (headers, body.slice(size..))
            }
            Some(_) => return Err(missing(wire::TW_HEADER_SIZE, "size of a part of the body")),
        };
        Ok(Self {
            stream: place.stream.ok_or_else(|| missing(wire::TW_STREAM, "stream"))?,
            created: place
                .created
                .ok_or_else(|| missing(wire::TW_STREAM_CREATED, "time"))?,
            sequence: place
                .sequence
                .ok_or_else(|| missing(wire::TW_SEQUENCE, "number"))?,
            stored: place.stored.ok_or_else(|| missing(wire::TW_STORED, "time"))?,
            subject: place
                .subject
                .ok_or_else(|| missing(wire::TW_SUBJECT, "subject"))?,
            headers,
            payload,
        })
    }

    /// Where it was.
    fn place(&self) -> Vec<(Cow<'static, str>, String)> {
        vec![
            (wire::TW_STREAM.into(), self.stream.clone()),
            (wire::TW_STREAM_CREATED.into(), self.created.to_string()),
            (wire::TW_SEQUENCE.into(), self.sequence.to_string()),
            (wire::TW_STORED.into(), self.stored.to_string()),
            (wire::TW_SUBJECT.into(), self.subject.clone()),
        ]
    }

    /// As it is on the wire: a first line, a line for each header, and an empty one.
    fn header_block(&self) -> Bytes {
        match &self.headers {
            OriginalHeaders::Broken(block) => block.clone(),
            OriginalHeaders::Parsed(headers) => {
                let mut block = String::from(VERSION);
                for (name, value) in headers {
                    block.extend([name, ": ", value, "\r\n"]);
                }
                block.push_str("\r\n");
                block.into()
            }
        }
    }
}

const VERSION: &str = "NATS/1.0\r\n";

/// The headers of a block, unless a client would stumble over it.
fn parse_block(block: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(block).ok()?;
    let lines = text.strip_prefix(VERSION)?.strip_suffix("\r\n")?;
    lines
        .split_terminator("\r\n")
        .map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            let is_value = !value.contains(['\r', '\n', '\0']);
            (is_name && is_value).then(|| {
                (
                    name.to_owned(),
                    value.strip_prefix(' ').unwrap_or(value).to_owned(),
                )
            })
        })
        .collect()
}

fn size(headers: &[(Cow<'static, str>, String)]) -> usize {
    let lines = headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + LINE);
    FRAME + lines.sum::<usize>()
}

/// What the headers of a wrapped message say of the original.
#[derive(Default)]
struct Place {
    stream: Option<String>,
    created: Option<Timestamp>,
    sequence: Option<u64>,
    stored: Option<Timestamp>,
    subject: Option<String>,
    header_size: Option<usize>,
}

impl Place {
    fn take(&mut self, name: &str, value: &str) {
        match name {
            wire::TW_STREAM => self.stream = Some(value.to_owned()),
            wire::TW_STREAM_CREATED => self.created = value.parse().ok(),
            wire::TW_SEQUENCE => self.sequence = value.parse().ok(),
            wire::TW_STORED => self.stored = value.parse().ok(),
            wire::TW_SUBJECT => self.subject = Some(value.to_owned()),
            // A size that is no number is longer than any body.
            wire::TW_HEADER_SIZE => self.header_size = Some(value.parse().unwrap_or(usize::MAX)),
            _ => {}
        }
    }
}
