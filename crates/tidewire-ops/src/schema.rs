//! Whether data fits what services declare.

use std::fmt;

use jsonschema::draft202012;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tidewire::MessageManifest;

use crate::error::OpsError;

/// One thing that does not fit a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Where it is in the data, as a JSON pointer; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "the data"
        } else {
            &self.path
        };
        write!(f, "{path}: {}", self.reason)
    }
}

/// Sees that `data` fits what each of `declared` says of the message.
pub(crate) fn check(
    name: &str,
    data: &RawValue,
    declared: &[(&str, &MessageManifest)],
) -> Result<(), OpsError> {
    let data: Value = serde_json::from_str(data.get()).map_err(OpsError::Data)?;
    for (service, message) in declared {
        let validator = draft202012::new(&message.schema).map_err(|error| OpsError::Schema {
            name: name.into(),
            service: (*service).into(),
            reason: error.to_string(),
        })?;
        let problems: Vec<_> = validator
            .iter_errors(&data)
            .map(|error| Problem {
                path: error.instance_path().to_string(),
                reason: error.to_string(),
            })
            .collect();
        if !problems.is_empty() {
            return Err(OpsError::Unfit {
                name: name.into(),
                version: message.version,
                service: (*service).into(),
                problems,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidewire::Kind;

    use super::*;

    fn declared(schema: Value) -> MessageManifest {
        MessageManifest {
            entity: None,
            kind: Kind::Event,
            version: 3,
            keyed: false,
            codec: None,
            schema,
            older: Vec::new(),
            reply: None,
        }
    }

    fn checked(data: &str, schema: Value) -> Result<(), OpsError> {
        let data = RawValue::from_string(data.into()).unwrap();
        check("a.b.c", &data, &[("till", &declared(schema))])
    }

    #[test]
    fn the_path_of_what_does_not_fit_is_named() {
        let schema = json!({"properties": {"lines": {"items": {"type": "integer"}}}, "required": ["id"]});
        assert!(checked(r#"{"id": 1, "lines": [1, 2]}"#, schema.clone()).is_ok());
        let text = checked(r#"{"lines": [1, "two"]}"#, schema)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("/lines/1: \"two\" is not of type \"integer\""),
            "{text}"
        );
        assert!(text.contains("the data: \"id\" is a required property"), "{text}");
        assert!(text.contains("version 3 as the service `till`"), "{text}");
    }

    #[test]
    fn a_schema_that_is_none_is_told_from_data_that_does_not_fit() {
        let error = checked("1", json!({"type": "nothing"})).unwrap_err();
        assert!(matches!(error, OpsError::Schema { .. }), "{error}");
    }
}
