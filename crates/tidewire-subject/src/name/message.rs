//! The name of a message.

use super::scan::{Layout, Shape};
use super::{ContextName, EntityName};
use crate::text::Text;

/// What a message is, `<domain>[.v<major>].<context>[.<entity>].<action>`; cheap to clone.
///
/// ```
/// use tidewire_subject::MessageName;
///
/// let name = MessageName::parse("users.v2.profile.user.created")?;
/// assert_eq!(name.domain(), "users");
/// assert_eq!(name.major(), Some(2));
/// assert_eq!(name.context(), "profile");
/// assert_eq!(name.entity(), Some("user"));
/// assert_eq!(name.action(), "created");
/// # Ok::<(), tidewire_subject::NameError>(())
/// ```
///
/// A malformed literal does not compile:
///
/// ```compile_fail,E0080
/// # use tidewire_subject::MessageName;
/// const WRONG: MessageName = MessageName::from_static("orders.Payments.process");
/// ```
#[derive(Clone)]
pub struct MessageName {
    pub(crate) text: Text,
    pub(super) layout: Layout,
}

super::name_type!(MessageName, Shape::Message);

impl MessageName {
    /// The word of the entity; a message without one is never keyed.
    pub fn entity(&self) -> Option<&str> {
        self.has_entity().then(|| self.layout.word(self.as_str(), 2))
    }

    /// The last word: past tense for an event, imperative for a command or a query.
    pub fn action(&self) -> &str {
        self.layout.word(self.as_str(), self.layout.words() - 1)
    }

    /// Whether the name has the word of an entity, so that its message can have a key.
    pub const fn has_entity(&self) -> bool {
        self.layout.words() == 4
    }

    /// The context that owns the message.
    pub fn context_name(&self) -> ContextName {
        ContextName {
            text: self.text.part(0, self.layout.end(1)),
            layout: self.layout.first(2),
        }
    }

    /// The entity that the message is about.
    pub fn entity_name(&self) -> Option<EntityName> {
        self.has_entity().then(|| EntityName {
            text: self.text.part(0, self.layout.end(2)),
            layout: self.layout.first(3),
        })
    }

    /// Whether the message is about this entity.
    pub fn belongs_to(&self, entity: &EntityName) -> bool {
        entity.contains(self)
    }

    pub(super) fn context_text(&self) -> &str {
        &self.as_str()[..self.layout.end(1)]
    }

    pub(super) fn entity_text(&self) -> Option<&str> {
        self.has_entity().then(|| &self.as_str()[..self.layout.end(2)])
    }

    /// The same name as the beginning of a longer text, in that text's allocation.
    pub(crate) fn within(&self, longer: &Text) -> Self {
        Self {
            text: longer.part(0, self.as_str().len()),
            layout: self.layout,
        }
    }

    /// Reads a name that is the first `end` bytes of a text, and allocates only for the text.
    pub(crate) fn parse_prefix(text: &str, end: usize) -> Result<(Self, Text), crate::NameError> {
        let name = &text[..end];
        match super::scan::scan(name, Shape::Message) {
            Ok(layout) => {
                let whole = Text::shared(text);
                Ok((
                    Self {
                        text: whole.part(0, end),
                        layout,
                    },
                    whole,
                ))
            }
            Err(fault) => Err(crate::NameError::new(name, Shape::Message, fault)),
        }
    }
}
