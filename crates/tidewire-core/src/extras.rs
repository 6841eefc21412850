//! What a sender adds to a message of its own accord.

use serde_json::{Map, Value};

use crate::{EncodeError, wire::is_header_name};

/// Headers and metadata of the sender's own, beside what the framework writes.
///
/// ```
/// use tidewire_core::Extras;
///
/// let extras = Extras::new().header("x-tenant", "acme").metadata("mood", "good");
/// # drop(extras);
/// ```
///
/// What cannot be sent is refused when the message is: a header with a line break, or one of the framework's names.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "extras go with a message"]
pub struct Extras {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) metadata: Map<String, Value>,
}

/// The most that nats-server takes of headers in a stream, names and separators included.
pub(crate) const HEADERS_LIMIT: usize = 64 << 10;

/// Headers that the framework writes beside those with its prefixes.
const OURS: [&str; 5] = [
    "content-type",
    "content-encoding",
    "traceparent",
    "tracestate",
    "baggage",
];
/// Beginnings of headers that belong to NATS, to Tidewire and to `CloudEvents`.
const PREFIXES: [&str; 3] = ["nats-", "tw-", "ce-"];
/// Fields of the metadata that the framework writes.
const FIELDS: [&str; 6] = [
    "name",
    "version",
    "source",
    "key",
    "correlation_id",
    "causation_id",
];

impl Extras {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A header: one line of text under a name that is not the framework's (`Nats-…`, `Tw-…`, `ce-…`).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// An entry of the envelope's metadata, under a name that is not the framework's (`tw_…` or a field of its own).
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Whether all of it may be sent.
    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        for (name, value) in &self.headers {
            let lower = name.to_ascii_lowercase();
            if OURS.contains(&lower.as_str()) || PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
                return Err(EncodeError::ReservedHeader { name: name.clone() });
            }
            if !is_header_name(name) || value.contains(['\r', '\n', '\0']) {
                return Err(EncodeError::Header { name: name.clone() });
            }
        }
        let reserved = |name: &&String| name.starts_with("tw_") || FIELDS.contains(&name.as_str());
        match self.metadata.keys().find(reserved) {
            Some(name) => Err(EncodeError::ReservedMetadata { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Refuses headers that a stream would.
pub(crate) fn check_size<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), EncodeError> {
    let version_line = "NATS/1.0\r\n\r\n".len();
    let size = headers
        .map(|(name, value)| name.len() + value.len() + ": \r\n".len())
        .sum::<usize>()
        + version_line;
    if size > HEADERS_LIMIT {
        return Err(EncodeError::HeadersTooLarge {
            size,
            limit: HEADERS_LIMIT,
        });
    }
    Ok(())
}
