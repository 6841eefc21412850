//! Several events that one reader takes.

use serde_json::value::RawValue;

use crate::{DecodeError, Encoded, EventMessage, MessageManifest, MessageType};

/// Events that one handler can take; a single event is a set of one.
///
/// Derive it on an enum whose variants each hold one event:
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// use tidewire_core::{Event, EventSet};
///
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.payments.payment.processed")]
/// # struct Processed {}
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "inventory.stock.item.rejected")]
/// # struct Rejected {}
/// #[derive(EventSet)]
/// enum Outcome {
///     Paid(Processed),
///     OutOfStock(Rejected),
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an event nor a set of events",
    label = "not an event",
    note = "add `#[derive(Event)]` to a struct, or `#[derive(EventSet)]` to an enum of events"
)]
pub trait EventSet: Sized + Send + Sync + 'static {
    /// The contracts of the set; empty only for [`Any`](crate::Any).
    const TYPES: &'static [MessageType];

    /// The event in `encoded`.
    ///
    /// # Errors
    /// [`DecodeError`] where the message is not of this set, is newer than the code, or does not fit its type.
    fn decode(encoded: Encoded<'_>) -> Result<Self, DecodeError>;

    /// The data of the event in `encoded` as JSON text, for people to look at.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError>;

    /// The contract of each event of the set, schema included.
    fn manifest() -> Vec<(MessageType, MessageManifest)>;
}

impl<E: EventMessage> EventSet for E {
    const TYPES: &'static [MessageType] = &[E::TYPE];

    fn decode(encoded: Encoded<'_>) -> Result<Self, DecodeError> {
        encoded.decode()
    }

    fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError> {
        encoded.json::<E>()
    }

    fn manifest() -> Vec<(MessageType, MessageManifest)> {
        vec![(E::TYPE, MessageManifest::event::<E>())]
    }
}

/// All events of one entity: its history is written as a whole and never piecemeal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the event family of one entity",
    label = "not a family",
    note = "derive `EventFamily` on an enum and add `#[family(entity = \"domain.context.entity\")]`"
)]
pub trait EventFamily: EventSet {
    /// `<domain>[.v<major>].<context>.<entity>`.
    const ENTITY: &'static str;
}

/// An event that belongs to the history of one entity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say that it belongs to a family",
    label = "not of this family",
    note = "add `family = …`, naming this enum, to its `#[event(…)]`"
)]
pub trait FamilyEvent: EventMessage {
    /// The enum of all events of its entity.
    type Family: EventFamily;
}

/// Whether the type at `index` has the name of an earlier one: a set could decode only the first of them.
pub const fn name_is_repeated(types: &[MessageType], index: usize) -> bool {
    let name = types[index].name.as_bytes();
    let mut earlier = 0;
    while earlier < index {
        if same(types[earlier].name.as_bytes(), name) {
            return true;
        }
        earlier += 1;
    }
    false
}

/// `==` is not `const` yet.
pub(crate) const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn a_repeated_name_is_found_and_a_prefix_is_none() {
        let types = ["a.b.c", "a.b.cd", "a.b.c", "a.b"].map(|name| MessageType {
            kind: Kind::Event,
            name,
            version: 1,
            keyed: false,
        });
        let repeated: Vec<_> = (0..types.len())
            .map(|index| name_is_repeated(&types, index))
            .collect();
        assert_eq!(repeated, [false, false, true, false]);
    }
}
