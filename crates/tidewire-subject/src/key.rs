//! Keys: the id of an entity as one token of a subject.

mod error;
mod escape;

use std::borrow::Cow;
use std::fmt;

pub use error::KeyError;

use crate::text::Text;

/// The longest key after escaping, in bytes.
pub const MAX_KEY: usize = 128;

/// The id of the entity that a message is about, escaped so that it is one token of a subject.
///
/// Letters, digits, `-` and `_` stand for themselves; every other byte is `=XX` with upper-case digits. One
/// text has one token, so keys are equal where their texts are. `Display` prints the text.
///
/// ```
/// use tidewire_subject::Key;
///
/// let key = Key::new("a.b")?;
/// assert_eq!(key.as_token(), "a=2Eb");
/// assert_eq!(key.to_string(), "a.b");
/// assert_eq!(Key::parse_token("a=2Eb")?, key);
/// # Ok::<(), tidewire_subject::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Key {
    pub(crate) token: Text,
}

impl Key {
    /// Escapes a text.
    ///
    /// # Errors
    ///
    /// When the text is empty, or has more than [`MAX_KEY`] bytes after escaping.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let length = escape::escaped_length(text);
        match length {
            0 => Err(KeyError::Empty),
            1..=MAX_KEY if length == text.len() => Ok(Self {
                token: Text::shared(text),
            }),
            1..=MAX_KEY => Ok(Self {
                token: Text::shared(&escape::escape(text, length)),
            }),
            _ => Err(KeyError::TooLong { length }),
        }
    }

    /// Reads the token of a received subject.
    ///
    /// # Errors
    ///
    /// When [`Key::new`] makes no such token: it holds a foreign character, a needless, cut or lower-case
    /// escape, or escapes that are not UTF-8; or it is empty or over [`MAX_KEY`] bytes.
    pub fn parse_token(token: &str) -> Result<Self, KeyError> {
        escape::check(token)?;
        Ok(Self {
            token: Text::shared(token),
        })
    }

    /// The key as it stands in a subject.
    pub fn as_token(&self) -> &str {
        self.token.as_str()
    }

    /// The text that the key stands for; it is borrowed where nothing is escaped.
    pub fn text(&self) -> Cow<'_, str> {
        escape::unescape(self.as_token())
    }

    /// Reads the part of a text from `start` to its end, in the text's allocation.
    pub(crate) fn parse_suffix(whole: &Text, start: usize) -> Result<Self, KeyError> {
        let token = whole.part(start, whole.as_str().len());
        escape::check(token.as_str())?;
        Ok(Self { token })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.text()).finish()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_token() == other.as_token()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By the token, which is not always the order of the texts.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_token().cmp(other.as_token())
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_token().hash(state);
    }
}

#[cfg(test)]
mod tests;
