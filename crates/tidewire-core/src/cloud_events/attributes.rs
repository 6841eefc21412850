//! Names and their values.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, de::IgnoredAny};

/// The media type of structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json";
pub(super) const PREFIX: &str = "ce-";

/// What a header value holds only escaped: everything outside printable ASCII, the space, the quote and the percent sign
/// (the HTTP binding's rule, which the NATS binding shares).
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The attribute in a header such as `ce-id`, in lower case.
pub(crate) fn attribute(header: &str) -> Option<String> {
    let prefix = header.get(..PREFIX.len())?;
    prefix
        .eq_ignore_ascii_case(PREFIX)
        .then(|| header[PREFIX.len()..].to_ascii_lowercase())
}

/// Whether a media type is that of structured mode, with or without parameters; the NATS binding's own has no `+json`.
pub(crate) fn is_structured(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    [STRUCTURED, "application/cloudevents"]
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known))
}

/// Whether a body says by itself that it is a `CloudEvent`.
pub(crate) fn is_structured_body(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Mark {
        #[serde(rename = "specversion")]
        _specversion: IgnoredAny,
    }
    serde_json::from_slice::<Mark>(payload).is_ok()
}

pub(super) fn escape(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// The value as it was before it was escaped; `None` where that is no UTF-8, which the binding has us refuse.
pub(super) fn unescape(value: &str) -> Option<String> {
    let value = unquote(value);
    let text = percent_decode_str(&value).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// Earlier bindings wrote spaces and quotes in a quoted string, and later ones still read it.
fn unquote(value: &str) -> Cow<'_, str> {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(quoted) = quoted else { return value.into() };
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next()).flatten();
        text.push(escaped.unwrap_or(character));
    }
    text.into()
}
