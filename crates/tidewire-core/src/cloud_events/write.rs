//! Onto the wire.

use serde::{Serialize, ser::SerializeMap};
use serde_json::Value;

use super::attributes::{PREFIX, STRUCTURED, escape};
use crate::{Kind, MessageId, Metadata, Timestamp, outgoing::Written, wire};

/// The attributes that are there, in a fixed order, as text.
fn attributes<'a>(
    kind: Kind,
    id: &'a MessageId,
    timestamp: Timestamp,
    metadata: &'a Metadata,
) -> Vec<(&'static str, String)> {
    let own = (!metadata.entries.is_empty()).then(|| Value::Object(metadata.entries.clone()).to_string());
    let given = [
        ("specversion", Some("1.0".to_owned())),
        ("id", Some(id.to_string())),
        ("type", metadata.name.clone()),
        ("source", metadata.source.clone()),
        ("subject", metadata.key.clone()),
        ("time", Some(timestamp.to_string())),
        ("correlationid", metadata.correlation_id.clone()),
        ("causationid", metadata.causation_id.clone()),
        ("twkind", Some(kind.to_string())),
        ("twversion", metadata.version.map(|version| version.to_string())),
        ("twmeta", own),
    ];
    given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Attributes as headers, the data as the body.
pub(crate) fn write_binary<D: Serialize>(
    kind: Kind,
    id: &MessageId,
    timestamp: Timestamp,
    metadata: &Metadata,
    data: &D,
) -> Result<Written, serde_json::Error> {
    let body = serde_json::to_vec(data)?;
    Ok((headers(kind, id, timestamp, metadata, wire::JSON), body))
}

/// Attributes as headers, for a body of data of this media type.
pub(crate) fn headers(
    kind: Kind,
    id: &MessageId,
    timestamp: Timestamp,
    metadata: &Metadata,
    media_type: &str,
) -> Vec<(String, String)> {
    let mut headers: Vec<_> = attributes(kind, id, timestamp, metadata)
        .into_iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), escape(&value)))
        .collect();
    // The first is the NATS binding's; the second is HTTP's, and what every message of ours has.
    for name in ["ce-datacontenttype", wire::CONTENT_TYPE] {
        headers.push((name.to_owned(), media_type.to_owned()));
    }
    headers
}

/// One JSON object.
pub(crate) fn write_structured<D: Serialize>(
    kind: Kind,
    id: &MessageId,
    timestamp: Timestamp,
    metadata: &Metadata,
    data: &D,
) -> Result<Written, serde_json::Error> {
    let mut body = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut body);
    let attributes = attributes(kind, id, timestamp, metadata);
    let mut object = serde::Serializer::serialize_map(&mut writer, None)?;
    for (name, value) in &attributes {
        object.serialize_entry(name, value)?;
    }
    object.serialize_entry("datacontenttype", wire::JSON)?;
    object.serialize_entry("data", data)?;
    object.end()?;
    Ok((vec![(wire::CONTENT_TYPE.to_owned(), STRUCTURED.to_owned())], body))
}
