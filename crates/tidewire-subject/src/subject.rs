//! Subjects: where a message is published.

mod error;

use std::fmt;
use std::str::FromStr;

pub use error::SubjectError;

use crate::name::looks_like_major;
use crate::text::Text;
use crate::{Key, MAX_KEY, MAX_WORD, MessageName};

/// The longest subject, in bytes; a server closes the whole connection at 4096.
pub const MAX_SUBJECT: usize = 512;

/// Four words, the largest major and the longest key: what `Subject::new` can make is always short enough.
const LONGEST: usize = 4 * (MAX_WORD + 1) + "v4294967295.".len() + MAX_KEY;
const _: () = assert!(LONGEST <= MAX_SUBJECT);

/// A concrete subject: a message's name, and the key where it has one.
///
/// It never holds a wildcard, and no [`SubjectFilter`](crate::SubjectFilter) turns into one: a filter cannot
/// be published to.
///
/// ```
/// use tidewire_subject::Subject;
///
/// let subject = Subject::parse("inventory.stock.item.updated.sku-9")?;
/// assert_eq!(subject.name().as_str(), "inventory.stock.item.updated");
/// assert_eq!(subject.key().unwrap().as_token(), "sku-9");
/// # Ok::<(), tidewire_subject::SubjectError>(())
/// ```
#[derive(Clone)]
pub struct Subject {
    /// With a key, the name is the beginning and the key the end of one allocation.
    name: MessageName,
    key: Option<Key>,
}

impl Subject {
    /// Puts a name and a key together; without a key nothing is allocated.
    ///
    /// # Errors
    ///
    /// [`SubjectError::KeyWithoutEntity`]: only a message with an entity has a key.
    pub fn new(name: &MessageName, key: Option<Key>) -> Result<Self, SubjectError> {
        let Some(key) = key else {
            return Ok(Self {
                name: name.clone(),
                key: None,
            });
        };
        if !name.has_entity() {
            return Err(SubjectError::KeyWithoutEntity {
                name: name.to_string(),
                key: key.to_string(),
            });
        }
        let start = name.as_str().len() + 1;
        let mut text = String::with_capacity(LONGEST);
        text.push_str(name.as_str());
        text.push('.');
        text.push_str(key.as_token());
        let whole = Text::shared(&text);
        let key = Key {
            token: whole.part(start, text.len()),
        };
        Ok(Self {
            name: name.within(&whole),
            key: Some(key),
        })
    }

    /// Reads a received subject, with a single allocation.
    ///
    /// Without a major version, 3 tokens are a message without an entity, 4 are four words and never a key,
    /// 5 are four words and a key. With one, each is one more.
    ///
    /// # Errors
    ///
    /// [`SubjectError::EventNumberReserved`] for a token behind the key, which version 1 of the grammar keeps
    /// for event numbers; the other variants say which token breaks which rule.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        if text.len() > MAX_SUBJECT {
            return Err(SubjectError::TooLong { length: text.len() });
        }
        let (mut dots, mut second, mut last, mut has_major) = (0, 0, 0, false);
        for (at, _) in text.bytes().enumerate().filter(|(_, byte)| *byte == b'.') {
            dots += 1;
            match dots {
                1 => second = at + 1,
                2 => has_major = looks_like_major(text.as_bytes(), second, at),
                _ => {}
            }
            last = at;
        }
        match dots + 1 - usize::from(has_major) {
            ..=4 => Ok(Self {
                name: MessageName::parse(text)?,
                key: None,
            }),
            5 => {
                let (name, whole) = MessageName::parse_prefix(text, last)?;
                Ok(Self {
                    name,
                    key: Some(Key::parse_suffix(&whole, last + 1)?),
                })
            }
            6 => Err(SubjectError::EventNumberReserved {
                subject: crate::text::excerpt(text),
            }),
            _ => Err(SubjectError::TooManyTokens {
                subject: crate::text::excerpt(text),
                found: dots + 1,
            }),
        }
    }

    /// The name of the message.
    pub fn name(&self) -> &MessageName {
        &self.name
    }

    /// The id of the entity that the message is about.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The whole subject, as it is published.
    pub fn as_str(&self) -> &str {
        match &self.key {
            Some(key) => self.name.text.up_to_end_of(&key.token),
            None => self.name.as_str(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.as_str()).finish()
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

crate::name::identity_by_text!(Subject);

#[cfg(test)]
mod tests;
