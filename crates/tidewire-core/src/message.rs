//! What makes a Rust type a message.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Codec, Older};

/// What a message is for; the envelope's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something happened; anybody may listen.
    Event,
    /// Somebody wants something done; exactly one service does it.
    Command,
    /// Somebody wants to know something; nothing changes.
    Query,
    /// The answer to a command or query.
    Reply,
    /// The refusal of a command or query.
    Error,
}

impl Kind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Command => "command",
            Self::Query => "query",
            Self::Reply => "reply",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The contract of one message type, as the derives declare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType {
    /// Event, command or query.
    pub kind: Kind,
    /// The subject without the key: `<domain>[.v<major>].<context>[.<entity>].<action>`.
    pub name: &'static str,
    /// The revision of `data`, from 1; grows when a field is added or changed. How older ones are read is said by
    /// [`Message::older`].
    pub version: u32,
    /// Whether the subject ends in the key of the entity that the message is about.
    pub keyed: bool,
}

/// A type that travels in an envelope; written by `#[derive(Event)]`, `#[derive(Command)]` or `#[derive(Query)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "add `#[derive(Event)]`, `#[derive(Command)]` or `#[derive(Query)]` to it"
)]
pub trait Message: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The contract: kind, name, version, and whether it has a key.
    const TYPE: MessageType;

    /// How its data is written; JSON where nothing is said.
    const CODEC: Option<Codec<Self>> = None;

    /// The text of the key: the id of the entity that this message is about. `None` exactly when the type has none.
    fn key(&self) -> Option<String> {
        None
    }

    /// How older versions of the message become this one. By default none is read: what comes in one is `incompatible`.
    fn older() -> Older<Self> {
        Older::none()
    }
}

/// A message that says what happened.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[derive(Event)]` and `#[event(subject = \"domain.context.entity.action\")]` to it"
)]
pub trait EventMessage: Message {
    /// The entity to whose history it belongs, where it is in a family: only the event store appends it then.
    const ENTITY: Option<&'static str> = None;
}

/// An event that a handler may emit and a bus may publish: every event that is in no family.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be emitted or published: it is in a family, or it is no event",
    label = "not a free event",
    note = "an event with `family = …` is part of one entity's history, and only the event store appends to that",
    note = "for an event without a history: `#[derive(Event)]` and no `family = …`"
)]
pub trait FreeEvent: EventMessage {}

/// A message that is answered: a command or a query.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a command nor a query",
    label = "cannot be asked",
    note = "add `#[derive(Command)]` or `#[derive(Query)]` to it"
)]
pub trait RequestMessage: Message {
    /// What the answer holds; `()` where `reply = …` is not given.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
}

/// A message that asks for something to be done.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "add `#[derive(Command)]` and `#[command(subject = \"domain.context.entity.action\")]` to it"
)]
pub trait CommandMessage: RequestMessage {}

/// A message that asks for an answer and changes nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a query",
    label = "not a query",
    note = "add `#[derive(Query)]` and `#[query(subject = \"domain.context.entity.action\")]` to it"
)]
pub trait QueryMessage: RequestMessage {}
