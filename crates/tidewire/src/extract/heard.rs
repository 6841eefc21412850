//! The last argument of a handler that is given to `.on(…)`.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tidewire_core::{Any, CommandMessage, DecodeError, Encoded, EventSet, MessageManifest, MessageType};

use super::{Command, Event, FromMessage, Json, Raw};

/// From a stream, through a durable consumer: [`durable`](crate::durable).
#[derive(Clone, Copy, Debug)]
pub enum DurableWay {}

/// As it is published: [`live`](crate::live).
#[derive(Clone, Copy, Debug)]
pub enum LiveWay {}

/// The last argument of a handler in `.on(…)`: events in any way, and a command from its queue.
///
/// A command that nobody who is there works would be lost without a word, so that none is heard live.
#[diagnostic::on_unimplemented(
    message = "the last argument of a handler in `.on(…)` is `Event<E>`, or in a `durable` `Command<C>`, and here it is `{Self}`",
    label = "its last argument is not heard in this way",
    note = "put `Event<E>` last; extractors such as `State<T>` and `Emit<E>` stand before it",
    note = "a command is taken from its queue by `.on(durable(\"name\", handler))`, and never heard by `live`: with nobody there it would be lost",
    note = "messages that are not Tidewire's are taken as `Raw` or `Json<T>`, with a `.filter(…)`",
    note = "a command that is answered is given to `.command(handler)`, a query to `.query(handler)`"
)]
pub trait HeardBy<Way>: FromMessage {
    /// The contracts of what it takes; empty where it takes whatever its filter matches.
    #[doc(hidden)]
    fn takes() -> Vec<(MessageType, MessageManifest)>;

    /// The data as JSON text, for people to look at.
    ///
    /// # Errors
    /// [`DecodeError`] where it is none of what it takes.
    #[doc(hidden)]
    fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError> {
        Any::json(encoded)
    }
}

impl<E: EventSet, Way> HeardBy<Way> for Event<E> {
    fn takes() -> Vec<(MessageType, MessageManifest)> {
        E::manifest()
    }

    fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError> {
        E::json(encoded)
    }
}

impl<Way> HeardBy<Way> for Raw {
    fn takes() -> Vec<(MessageType, MessageManifest)> {
        Vec::new()
    }
}

impl<T: DeserializeOwned, Way> HeardBy<Way> for Json<T> {
    fn takes() -> Vec<(MessageType, MessageManifest)> {
        Vec::new()
    }
}

impl<C: CommandMessage> HeardBy<DurableWay> for Command<C> {
    fn takes() -> Vec<(MessageType, MessageManifest)> {
        vec![(C::TYPE, MessageManifest::request::<C>())]
    }

    fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError> {
        encoded.json::<C>()
    }
}
