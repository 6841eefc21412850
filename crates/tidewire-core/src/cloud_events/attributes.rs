//! Names and their values.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

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

/// Whether a media type is that of structured mode, with or without parameters.
pub(crate) fn is_structured(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(STRUCTURED)
}

pub(super) fn escape(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// The value as it was before it was escaped; what is no UTF-8 then is left as it came.
pub(super) fn unescape(value: &str) -> String {
    percent_decode_str(value)
        .decode_utf8()
        .map_or_else(|_| value.to_owned(), Into::into)
}
