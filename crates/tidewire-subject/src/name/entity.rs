//! The name of an entity.

use super::scan::{Layout, Shape, scan, starts_with};
use super::{ContextName, MessageName};
use crate::text::Text;

/// A kind of thing that has an identity, `<domain>[.v<major>].<context>.<entity>`; keys are its ids.
///
/// ```
/// use tidewire_subject::{EntityName, MessageName};
///
/// let payment = EntityName::parse("orders.payments.payment")?;
/// assert!(payment.contains(&MessageName::parse("orders.payments.payment.processed")?));
/// assert!(!payment.contains(&MessageName::parse("orders.payments.refund.processed")?));
/// # Ok::<(), tidewire_subject::NameError>(())
/// ```
#[derive(Clone)]
pub struct EntityName {
    pub(super) text: Text,
    pub(super) layout: Layout,
}

super::name_type!(EntityName, Shape::Entity);

impl EntityName {
    /// The word of the entity.
    pub fn entity(&self) -> &str {
        self.layout.word(self.as_str(), 2)
    }

    /// The context that the entity is in.
    pub fn context_name(&self) -> ContextName {
        ContextName {
            text: self.text.part(0, self.layout.end(1)),
            layout: self.layout.first(2),
        }
    }

    /// Whether the message is about this entity.
    pub fn contains(&self, message: &MessageName) -> bool {
        message.entity_text() == Some(self.as_str())
    }
}

/// Whether a message's name is of an entity, for assertions at compile time.
///
/// `false` also where one of the two texts breaks the grammar.
///
/// ```
/// use tidewire_subject::name_is_of_entity;
///
/// const _: () = assert!(name_is_of_entity("orders.payments.payment.processed", "orders.payments.payment"));
/// const _: () = assert!(!name_is_of_entity("orders.payments.processed", "orders.payments"));
/// ```
pub const fn name_is_of_entity(name: &str, entity: &str) -> bool {
    let Ok(layout) = scan(name, Shape::Message) else {
        return false;
    };
    scan(entity, Shape::Entity).is_ok()
        && layout.words() == 4
        && layout.end(2) == entity.len()
        && starts_with(name.as_bytes(), entity.as_bytes())
}
