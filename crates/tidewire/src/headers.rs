//! Headers in and out, without the client's panics on run-time text.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use tidewire_core::{TraceContext, wire};

/// A header that cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("the header `{name}` cannot hold {value:?}: a header is one line of text")]
pub struct InvalidHeader {
    name: String,
    value: String,
}

/// The headers as the client wants them.
pub(crate) fn header_map<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<HeaderMap, InvalidHeader> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        append(&mut map, name.parse().ok(), name, value)?;
    }
    Ok(map)
}

/// The same, where most names are constants, which are not copied.
pub(crate) fn header_map_of<'a>(
    headers: impl IntoIterator<Item = (Cow<'static, str>, &'a str)>,
) -> Result<HeaderMap, InvalidHeader> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = match &name {
            Cow::Borrowed(name) => wire::is_header_name(name).then(|| HeaderName::from_static(name)),
            Cow::Owned(name) => name.parse().ok(),
        };
        append(&mut map, header, &name, value)?;
    }
    Ok(map)
}

fn append(
    map: &mut HeaderMap,
    header: Option<HeaderName>,
    name: &str,
    value: &str,
) -> Result<(), InvalidHeader> {
    let (Some(header), Ok(text)) = (header, value.parse::<HeaderValue>()) else {
        return Err(InvalidHeader {
            name: name.into(),
            value: value.into(),
        });
    };
    map.append(header, text);
    Ok(())
}

/// A header's first value, whatever the case in which its name was written.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    if let Some(value) = headers.get(name) {
        return Some(value.as_str());
    }
    headers
        .iter()
        .find(|(found, _)| AsRef::<str>::as_ref(found).eq_ignore_ascii_case(name))
        .and_then(|(_, values)| values.first())
        .map(HeaderValue::as_str)
}

/// Names and values, one by one.
pub(crate) fn pairs(headers: Option<&HeaderMap>) -> impl Iterator<Item = (&str, &str)> {
    headers.into_iter().flat_map(|headers| {
        headers.iter().flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        })
    })
}

/// The trace that a message belongs to.
pub(crate) fn trace_context(headers: Option<&HeaderMap>) -> TraceContext {
    let mut trace = TraceContext::default();
    pairs(headers).for_each(|(name, value)| {
        let field = match name.len() {
            11 if name.eq_ignore_ascii_case(wire::TRACEPARENT) => &mut trace.parent,
            10 if name.eq_ignore_ascii_case(wire::TRACESTATE) => &mut trace.state,
            7 if name.eq_ignore_ascii_case(wire::BAGGAGE) => &mut trace.baggage,
            _ => return,
        };
        field.get_or_insert_with(|| value.to_owned());
    });
    trace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_is_an_error_and_no_panic() {
        let error = header_map([("Tw-Name", "a\r\nNats-Rollup: all")]).unwrap_err();
        assert!(error.to_string().contains("Tw-Name"), "{error}");
        assert!(header_map([("Bad Name:", "x")]).is_err());
        assert!(header_map_of([("Bad-Name:\r\nNats-Rollup".into(), "x")]).is_err());
        assert!(header_map_of([("Tw-Name".into(), "x")]).is_ok());
    }

    #[test]
    fn names_are_read_in_any_case() {
        let map = header_map([("TraceParent", "00-1")]).unwrap();
        assert_eq!(trace_context(Some(&map)).parent.as_deref(), Some("00-1"));
    }
}
