//! From the wire.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use super::attributes::unescape;
use crate::{DecodeError, Kind, MessageId, Metadata, Timestamp, parsed::Parsed};

/// Attributes by name, as text.
type Attributes = BTreeMap<String, String>;

/// A message whose attributes are headers and whose body is the data.
pub(crate) fn read_binary(
    attributes: &[(String, &str)],
    content_type: Option<&str>,
    payload: &[u8],
    received: Timestamp,
) -> Result<Parsed, DecodeError> {
    json_only(content_type)?;
    let data = if payload.is_empty() {
        RawValue::NULL.to_owned()
    } else {
        serde_json::from_slice(payload).map_err(DecodeError::Malformed)?
    };
    let attributes = attributes
        .iter()
        .map(|(name, value)| (name.clone(), unescape(value)))
        .collect();
    parsed(attributes, data, received)
}

/// A message that is one JSON object.
pub(crate) fn read_structured(payload: &[u8], received: Timestamp) -> Result<Parsed, DecodeError> {
    let mut members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(payload).map_err(DecodeError::Malformed)?;
    let data = members.remove("data");
    if members.remove("data_base64").is_some() {
        return Err(DecodeError::CloudEvent(
            "data_base64 holds bytes, and this service reads JSON data".into(),
        ));
    }
    let mut attributes = Attributes::new();
    for (name, value) in members {
        let text = match serde_json::from_str(value.get()).map_err(DecodeError::Malformed)? {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        attributes.insert(name, text);
    }
    json_only(attributes.get("datacontenttype").map(String::as_str))?;
    parsed(
        attributes,
        data.unwrap_or_else(|| RawValue::NULL.to_owned()),
        received,
    )
}

fn json_only(content_type: Option<&str>) -> Result<(), DecodeError> {
    let Some(content_type) = content_type else {
        return Ok(());
    };
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json") {
        return Ok(());
    }
    Err(DecodeError::CloudEvent(format!(
        "the data is `{media_type}`, and this service reads JSON data"
    )))
}

fn parsed(
    mut attributes: Attributes,
    data: Box<RawValue>,
    received: Timestamp,
) -> Result<Parsed, DecodeError> {
    let mut required = |name: &str| {
        attributes
            .remove(name)
            .ok_or_else(|| DecodeError::CloudEvent(format!("the attribute `{name}` is missing")))
    };
    let (specversion, id, name, source) = (
        required("specversion")?,
        required("id")?,
        required("type")?,
        required("source")?,
    );
    if specversion != "1.0" {
        return Err(DecodeError::CloudEvent(format!(
            "specversion is `{specversion}`, and this service reads 1.0"
        )));
    }
    let timestamp = match attributes.remove("time") {
        Some(time) => time.parse()?,
        None => received,
    };
    let kind = match attributes.remove("twkind") {
        Some(kind) => serde_json::from_value(Value::String(kind)).map_err(DecodeError::Malformed)?,
        None => Kind::Event,
    };
    let version = attributes
        .remove("twversion")
        .and_then(|version| version.parse().ok());
    let entries = attributes
        .remove("twmeta")
        .map(|entries| serde_json::from_str(&entries));
    let mut entries: serde_json::Map<String, Value> = entries
        .transpose()
        .map_err(DecodeError::Malformed)?
        .unwrap_or_default();
    let (key, correlation_id, causation_id) = (
        attributes.remove("subject"),
        attributes.remove("correlationid"),
        attributes.remove("causationid"),
    );
    attributes.remove("datacontenttype");
    // Extensions of others are the sender's own metadata.
    entries.extend(
        attributes
            .into_iter()
            .map(|(name, value)| (name, Value::String(value))),
    );
    let metadata = Metadata {
        name: Some(name),
        version,
        source: Some(source),
        key,
        correlation_id,
        causation_id,
        entries,
    };
    let id = MessageId::from_text(id).ok_or(DecodeError::EmptyId)?;
    Ok(Parsed {
        kind,
        id,
        timestamp,
        metadata,
        data,
    })
}
