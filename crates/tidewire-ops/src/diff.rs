//! What changed between two manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};
use tidewire::{HandlerManifest, Manifest, Transport};

/// The part of a manifest in which a difference is, in the order of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// The service itself.
    Service,
    /// A context and its stream.
    Context,
    /// A handler.
    Handler,
    /// A message and its schemas.
    Message,
}

/// One thing that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Where it is.
    pub section: Section,
    /// Its name there.
    pub name: String,
    /// What happened to it.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened to something that a manifest names.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    /// Only the second manifest has it.
    Added,
    /// Only the first manifest has it.
    Removed,
    /// Both have it, and not the same.
    Changed {
        /// What of it.
        fields: Vec<FieldChange>,
    },
}

/// A value that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// Where it is, as a JSON pointer.
    pub path: String,
    /// What it was; `None` where it was not there.
    pub before: Option<Value>,
    /// What it is; `None` where it is not there any more.
    pub after: Option<Value>,
}

/// What is not the same in two manifests; empty where they say the same.
///
/// Handlers are compared by what they are and by their names, so that another order is no difference.
pub fn diff(before: &Manifest, after: &Manifest) -> Vec<Difference> {
    let (before, after) = (parts(before), parts(after));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differences = names.into_iter().filter_map(|part| {
        let change = match (before.get(part), after.get(part)) {
            (Some(_), None) => Change::Removed,
            (None, _) => Change::Added,
            (Some(one), Some(other)) => {
                let mut fields = Vec::new();
                compare("", Some(one), Some(other), &mut fields);
                if fields.is_empty() {
                    return None;
                }
                Change::Changed { fields }
            }
        };
        let (section, name) = part.clone();
        Some(Difference {
            section,
            name,
            change,
        })
    });
    differences.collect()
}

type Parts = BTreeMap<(Section, String), Value>;

fn parts(manifest: &Manifest) -> Parts {
    let mut parts = Parts::new();
    let mut own = match json(manifest) {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    for section in ["contexts", "handlers", "messages"] {
        own.remove(section);
    }
    parts.insert((Section::Service, manifest.service.clone()), Value::Object(own));
    for context in &manifest.contexts {
        parts.insert((Section::Context, context.name.clone()), json(context));
    }
    for handler in &manifest.handlers {
        let name = title(handler);
        // Live handlers have no names of their own, so that several may hear one event.
        let mut counted = name.clone();
        let mut count = 1;
        while parts.contains_key(&(Section::Handler, counted.clone())) {
            count += 1;
            counted = format!("{name} ({count})");
        }
        parts.insert((Section::Handler, counted), json(handler));
    }
    for (name, message) in &manifest.messages {
        parts.insert((Section::Message, name.clone()), json(message));
    }
    parts
}

fn title(handler: &HandlerManifest) -> String {
    let kind = match &handler.transport {
        Transport::Durable { .. } => "durable".to_owned(),
        Transport::Live { .. } => "live".to_owned(),
        Transport::Request { kind, .. } => kind.to_string(),
        _ => "handler".to_owned(),
    };
    format!("{kind} {}", handler.name)
}

fn json(part: &impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// Goes down into objects, and into lists of one length; any other list is compared as a whole.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in names {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                compare(&path, one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}/{index}"), Some(one), Some(other), found);
            }
        }
        _ if before == after => {}
        _ => found.push(FieldChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests;
