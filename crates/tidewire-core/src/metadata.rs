//! What an envelope says beside its data.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::unique::Unique;

/// The envelope's `metadata`: our fields, and whatever the sender added.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metadata {
    /// The subject without the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The revision of `data`, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The service that sent the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The text of the subject's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The id of the message that began the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The id of the message that this one follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The sender's own entries; one of our names with a value of another type is the sender's too.
    #[serde(flatten)]
    pub entries: Map<String, Value>,
}

impl Metadata {
    pub(crate) fn from_members(members: Unique<Value>) -> Self {
        Map::from_iter(members.0).into()
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(mut entries: Map<String, Value>) -> Self {
        Self {
            name: take_text(&mut entries, "name"),
            version: take_version(&mut entries),
            source: take_text(&mut entries, "source"),
            key: take_text(&mut entries, "key"),
            correlation_id: take_text(&mut entries, "correlation_id"),
            causation_id: take_text(&mut entries, "causation_id"),
            entries,
        }
    }
}

fn take_text(entries: &mut Map<String, Value>, field: &str) -> Option<String> {
    match entries.get(field) {
        Some(Value::String(_)) => match entries.remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn take_version(entries: &mut Map<String, Value>) -> Option<u32> {
    let version = entries
        .get("version")?
        .as_u64()
        .and_then(|v| u32::try_from(v).ok())
        .filter(|&v| v > 0)?;
    entries.remove("version");
    Some(version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(value: Value) -> Metadata {
        match value {
            Value::Object(map) => map.into(),
            _ => unreachable!("the tests give objects"),
        }
    }

    #[test]
    fn a_known_field_of_another_type_is_the_senders() {
        let found = metadata(json!({"version": "two", "name": 7, "source": "till", "mood": "good"}));
        assert_eq!(found.version, None);
        assert_eq!(found.source.as_deref(), Some("till"));
        assert_eq!(
            Value::Object(found.entries),
            json!({"version": "two", "name": 7, "mood": "good"})
        );
    }

    #[test]
    fn version_zero_is_no_version() {
        assert_eq!(metadata(json!({"version": 0})).version, None);
    }
}
