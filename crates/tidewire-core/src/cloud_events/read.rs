//! From the wire.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use super::attributes::unescape;
use crate::{
    DecodeError, Format, Kind, MessageId, Metadata, Timestamp, codec, parsed::Parsed, unique::Unique,
};

/// Attributes by name, as text.
type Attributes = BTreeMap<String, String>;

/// A message whose attributes are headers and whose body is the data.
pub(crate) fn read_binary(
    attributes: &[(String, &str)],
    content_type: Option<&str>,
    payload: &[u8],
    received: Timestamp,
) -> Result<Parsed, DecodeError> {
    // The NATS binding's name for it; that of HTTP is used as well.
    let declared = attributes.iter().find(|(name, _)| name == "datacontenttype");
    let media_type = declared.map(|(_, value)| *value).or(content_type);
    let (data, binary) = codec::read(media_type, payload)?;
    let mut read = Attributes::new();
    for (name, value) in attributes {
        let value = unescape(value).ok_or_else(|| {
            DecodeError::CloudEvent(format!("the header `ce-{name}` is no UTF-8 once it is unescaped"))
        })?;
        if read.insert(name.clone(), value).is_some() {
            let text = format!("the header `ce-{name}` stands twice");
            return Err(DecodeError::CloudEvent(text));
        }
    }
    let parsed = parsed(Format::CloudEventsBinary, read, data, received)?;
    Ok(Parsed { binary, ..parsed })
}

/// A message that is one JSON object.
pub(crate) fn read_structured(payload: &[u8], received: Timestamp) -> Result<Parsed, DecodeError> {
    let Unique(mut members): Unique<Box<RawValue>> =
        serde_json::from_slice(payload).map_err(DecodeError::malformed)?;
    let data = members.remove("data");
    if members.remove("data_base64").is_some() {
        return Err(DecodeError::CloudEvent(
            "data_base64 holds bytes, and this service reads JSON data".into(),
        ));
    }
    let mut attributes = Attributes::new();
    for (name, value) in members {
        let text = match serde_json::from_str(value.get()).map_err(DecodeError::malformed)? {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        attributes.insert(name, text);
    }
    if attributes
        .get("datacontenttype")
        .is_some_and(|media_type| !is_json(media_type))
    {
        return Err(DecodeError::CloudEvent(
            "the data is not JSON by its datacontenttype, and this service reads JSON data".into(),
        ));
    }
    parsed(
        Format::CloudEventsStructured,
        attributes,
        data.unwrap_or_else(|| RawValue::NULL.to_owned()),
        received,
    )
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    codec::is_json(&media_type.trim().to_ascii_lowercase())
}

fn parsed(
    format: Format,
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
        return Err(DecodeError::CloudEvent(
            "its specversion is not 1.0, which is what this service reads".into(),
        ));
    }
    let timestamp = match attributes.remove("time") {
        Some(time) => time.parse().map_err(|_| DecodeError::Timestamp)?,
        None => received,
    };
    let kind = match attributes.remove("twkind") {
        Some(kind) => serde_json::from_value(Value::String(kind)).map_err(DecodeError::malformed)?,
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
        .map_err(DecodeError::malformed)?
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
        format,
        kind,
        id,
        timestamp,
        metadata,
        data,
        binary: None,
    })
}
