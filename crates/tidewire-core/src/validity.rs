//! Holding data against its schema.

mod expected;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use json_patch::Patch;
use jsonschema::{Validator, draft202012};
use serde::Serialize;
use serde_json::Value;

use crate::{DecodeError, EncodeError, Encoded, Kind, Message, MessageManifest, Mismatch, OlderForm};

/// The schemas of messages, compiled once: whether data is what its contract says.
///
/// Formats such as `email` and `date-time` count; those that the validator does not know do not.
#[derive(Debug, Default)]
pub struct Validity {
    messages: HashMap<String, Contract>,
}

#[derive(Debug)]
struct Contract {
    kind: Kind,
    versions: BTreeMap<u32, Form>,
    reply: Option<Schema>,
}

#[derive(Debug)]
enum Form {
    Schema(Schema),
    /// Makes the data that of the next version.
    Patch(Patch),
}

impl Validity {
    /// The schemas of `messages`, each with its name. Of two schemas of one version the first counts.
    ///
    /// # Errors
    /// A line for each schema that is none, and for each patch.
    pub fn new<'a>(
        messages: impl IntoIterator<Item = (&'a str, &'a MessageManifest)>,
    ) -> Result<Self, Vec<String>> {
        let (mut validity, mut problems) = (Self::default(), Vec::new());
        for (name, message) in messages {
            if let Err(problem) = validity.add(name, message) {
                problems.push(problem);
            }
        }
        if problems.is_empty() {
            Ok(validity)
        } else {
            Err(problems)
        }
    }

    fn add(&mut self, name: &str, message: &MessageManifest) -> Result<(), String> {
        let of_version = |version, problem| format!("version {version} of `{name}`: {problem}");
        let contract = self.messages.entry(name.to_owned()).or_insert(Contract {
            kind: message.kind,
            versions: BTreeMap::new(),
            reply: None,
        });
        let newest = (message.version, OlderForm::Schema(message.schema.clone()));
        let older = message.older.iter();
        for (version, form) in older
            .map(|older| (older.version, older.form.clone()))
            .chain([newest])
        {
            let form = match form {
                OlderForm::Schema(schema) => Schema::new(&schema).map(Form::Schema),
                OlderForm::Patch(patch) => read_patch(patch).map(Form::Patch),
            };
            let form = form.map_err(|problem| of_version(version, problem))?;
            // Somebody patches what somebody else has a type for.
            match contract.versions.get(&version) {
                Some(Form::Schema(_)) => {}
                _ => drop(contract.versions.insert(version, form)),
            }
        }
        if let (None, Some(reply)) = (&contract.reply, &message.reply) {
            let reply = Schema::new(reply).map_err(|problem| format!("the reply of `{name}`: {problem}"))?;
            contract.reply = Some(reply);
        }
        Ok(())
    }

    /// Whether the data of a received message is what its version says: that version's schema where it has one, or else
    /// that of the version to which it is patched. What has no schema here is let pass, and so is what is not even read.
    ///
    /// # Errors
    /// [`DecodeError::BreaksSchema`], or [`DecodeError::Invalid`] where the data is no JSON that can be held against it.
    pub fn check(&self, message: Encoded<'_>) -> Result<(), DecodeError> {
        let contract = self.messages.get(message.name);
        let known = |contract: &&Contract| {
            contract.kind == message.kind && contract.versions.contains_key(&message.version)
        };
        let Some(contract) = contract.filter(known) else {
            return Ok(());
        };
        // A JSON Schema says nothing of it.
        if message.binary.is_some() {
            return Ok(());
        }
        let mut data: Value =
            serde_json::from_str(message.data.get()).map_err(|error| DecodeError::Invalid {
                name: message.name.into(),
                source: error.into(),
            })?;
        for (version, form) in contract.versions.range(message.version..) {
            match form {
                Form::Patch(patch) => {
                    // Reading it says why.
                    if json_patch::patch(&mut data, patch).is_err() {
                        return Ok(());
                    }
                }
                Form::Schema(schema) => {
                    return schema.check(&data).map_err(|source| DecodeError::BreaksSchema {
                        name: message.name.into(),
                        version: *version,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether a message may be sent.
    ///
    /// # Errors
    /// [`EncodeError::BreaksSchema`], or [`EncodeError::Data`] where it cannot be written at all.
    pub fn check_sent<M: Message>(&self, message: &M) -> Result<(), EncodeError> {
        let name = M::TYPE.name;
        let contract = self.messages.get(name);
        let form = contract.and_then(|contract| contract.versions.get(&M::TYPE.version));
        let Some(Form::Schema(schema)) = form else {
            return Ok(());
        };
        let data = to_value(name, message)?;
        schema
            .check(&data)
            .map_err(|source| EncodeError::BreaksSchema { name, source })
    }

    /// Whether `reply`, as JSON, may be the answer to the message of this name.
    ///
    /// # Errors
    /// [`Mismatch`] says where it may not.
    pub fn check_reply(&self, name: &str, reply: &Value) -> Result<(), Mismatch> {
        let contract = self.messages.get(name);
        let schema = contract.and_then(|contract| contract.reply.as_ref());
        schema.map_or(Ok(()), |schema| schema.check(reply))
    }
}

fn to_value<D: Serialize>(name: &str, data: &D) -> Result<Value, EncodeError> {
    serde_json::to_value(data).map_err(|source| EncodeError::Data {
        name: name.to_owned(),
        source,
    })
}

fn read_patch(patch: Value) -> Result<Patch, String> {
    serde_json::from_value(patch).map_err(|error| format!("its patch is no JSON patch (RFC 6902): {error}"))
}

/// A compiled schema, and the names of properties that its author wrote.
struct Schema {
    validator: Validator,
    names: BTreeSet<String>,
}

impl Schema {
    fn new(schema: &Value) -> Result<Self, String> {
        let validator = draft202012::options()
            .should_validate_formats(true)
            .build(schema)
            .map_err(|error| format!("its schema cannot be used: {error}"))?;
        let mut names = BTreeSet::new();
        collect_names(schema, &mut names);
        Ok(Self { validator, names })
    }

    fn check(&self, data: &Value) -> Result<(), Mismatch> {
        self.validator.validate(data).map_err(|error| {
            let error = expected::deepest(&error);
            let path = expected::path(error.instance_path(), &self.names);
            Mismatch::new(path, expected::expected(error))
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The names of properties, wherever in the schema they are described.
fn collect_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| collect_names(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
