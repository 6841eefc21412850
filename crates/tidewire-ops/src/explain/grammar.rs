//! What a subject says by itself.

use serde::Serialize;
use tidewire::{Kind, Subject};

use crate::manifests::Manifests;

/// What the grammar of Tidewire makes of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grammar {
    /// It is the subject of a message.
    Message {
        /// The subject without the key.
        name: String,
        /// The key's text, unescaped.
        key: Option<String>,
        /// The major version, where one is written.
        major: Option<u32>,
        /// The context that owns the message.
        context: String,
        /// The stream of that context's events.
        stream: String,
        /// Event, command or query, where a manifest knows the message.
        kind: Option<Kind>,
        /// The version of its data, where a manifest knows the message.
        version: Option<u32>,
        /// Whether it has a key, where a manifest knows the message.
        keyed: Option<bool>,
    },
    /// It breaks the grammar: no message of a Tidewire service has it.
    Foreign {
        /// Which rule it breaks, and what would be right.
        reason: String,
    },
}

impl Grammar {
    pub(super) fn of(subject: &str, manifests: &Manifests) -> Self {
        let subject = match Subject::parse(subject) {
            Ok(subject) => subject,
            Err(error) => {
                return Self::Foreign {
                    reason: error.to_string(),
                };
            }
        };
        let name = subject.name();
        let declared = manifests.message(name.as_str());
        let message = declared.first().map(|(_, message)| message);
        Self::Message {
            name: name.to_string(),
            key: subject.key().map(|key| key.text().into_owned()),
            major: name.major(),
            context: name.context_name().to_string(),
            stream: name.context_name().stream_name(),
            kind: message.map(|message| message.kind),
            version: message.map(|message| message.version),
            keyed: message.map(|message| message.keyed),
        }
    }

    /// Whether it may be sent as a durable command: it is a command, or nobody says what it is.
    pub(super) fn may_be_a_command(&self) -> bool {
        matches!(
            self,
            Self::Message {
                kind: Some(Kind::Command) | None,
                ..
            }
        )
    }

    /// Whether the subject and the manifest disagree on the key: nothing is ever sent there.
    pub fn contradicts_its_key(&self) -> bool {
        matches!(self, Self::Message { key, keyed: Some(keyed), .. } if key.is_some() != *keyed)
    }
}
