//! What an envelope says beside its data.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::unique::EACH_ONCE;

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

/// The members of `metadata`, read without a map between: a name that stands twice is an error, as in
/// `Unique` (`unique.rs`).
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EACH_ONCE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = Metadata::default();
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value()?;
            if metadata.put(name, value) {
                return Err(de::Error::invalid_value(
                    de::Unexpected::Other("a repeated name"),
                    &self,
                ));
            }
        }
        Ok(metadata)
    }
}

/// A member's name, borrowed where it has no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Metadata {
    /// Takes a member in; whether its name was there before.
    fn put(&mut self, name: Cow<'_, str>, value: Value) -> bool {
        let (known, value) = match (&*name, value) {
            ("version", value) => {
                if let Some(version) = version(&value) {
                    return self.version.replace(version).is_some() || self.entries.contains_key(&*name);
                }
                (self.version.is_some(), value)
            }
            (field, Value::String(text)) => match self.text(field) {
                Some(known) => return known.replace(text).is_some() || self.entries.contains_key(field),
                None => (false, Value::String(text)),
            },
            (field, value) => (self.text(field).is_some_and(|known| known.is_some()), value),
        };
        self.entries.insert(name.into_owned(), value).is_some() || known
    }

    fn text(&mut self, field: &str) -> Option<&mut Option<String>> {
        Some(match field {
            "name" => &mut self.name,
            "source" => &mut self.source,
            "key" => &mut self.key,
            "correlation_id" => &mut self.correlation_id,
            "causation_id" => &mut self.causation_id,
            _ => return None,
        })
    }
}

fn version(value: &Value) -> Option<u32> {
    value
        .as_u64()
        .and_then(|version| u32::try_from(version).ok())
        .filter(|&version| version > 0)
}

impl From<Map<String, Value>> for Metadata {
    fn from(entries: Map<String, Value>) -> Self {
        let mut metadata = Self::default();
        for (name, value) in entries {
            metadata.put(name.into(), value);
        }
        metadata
    }
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
    fn a_name_that_stands_twice_is_refused_whatever_its_values_are() {
        let values = [r#""one""#, "1", "null", "{}"];
        for name in [
            "name",
            "version",
            "source",
            "key",
            "correlation_id",
            "causation_id",
            "mood",
        ] {
            for (first, second) in values
                .iter()
                .flat_map(|first| values.map(|second| (first, second)))
            {
                let json = format!(r#"{{"{name}":{first},"{name}":{second}}}"#);
                assert!(serde_json::from_str::<Metadata>(&json).is_err(), "{json}");
            }
        }
        let escaped = r#"{"name":"a","\u006eame":"b"}"#;
        assert!(
            serde_json::from_str::<Metadata>(escaped).is_err(),
            "however it is written"
        );
    }

    #[test]
    fn version_zero_is_no_version() {
        assert_eq!(metadata(json!({"version": 0})).version, None);
    }
}
