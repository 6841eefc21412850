//! What can be wrong with a key.

use std::fmt;

use super::MAX_KEY;

/// A text cannot be a key, or a token is not the escape of any text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no text.
    Empty,
    /// The token has more than [`MAX_KEY`](crate::MAX_KEY) bytes.
    TooLong {
        /// Its length in bytes, after escaping.
        length: usize,
    },
    /// A received token holds a character that should have been escaped.
    ForeignCharacter {
        /// The token.
        token: String,
        /// The first character that may not be there.
        character: char,
    },
    /// A `=` is not followed by two upper-case hexadecimal digits.
    MalformedEscape {
        /// The token.
        token: String,
    },
    /// A character is escaped that stands for itself, so the text would have two tokens.
    NeedlessEscape {
        /// The token.
        token: String,
        /// The character.
        character: char,
    },
    /// The escaped bytes are no UTF-8 text.
    NotUtf8 {
        /// The token.
        token: String,
    },
}

impl std::error::Error for KeyError {}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the key is empty: give the id of the entity that the message is about")
            }
            Self::TooLong { length } => write!(
                f,
                "the key has {length} bytes after escaping and may have {MAX_KEY}: use a shorter id, or a hash of it"
            ),
            Self::ForeignCharacter { token, character } => write!(
                f,
                "the key token {token:?} holds {character:?}, which must be escaped: its sender must make the \
                 token with `Key::new`"
            ),
            Self::MalformedEscape { token } => write!(
                f,
                "the key token {token:?} has a `=` without two upper-case hexadecimal digits behind it: its \
                 sender must make the token with `Key::new`"
            ),
            Self::NeedlessEscape { token, character } => write!(
                f,
                "the key token {token:?} escapes {character:?}, which stands for itself: its sender must make \
                 the token with `Key::new`"
            ),
            Self::NotUtf8 { token } => write!(
                f,
                "the key token {token:?} does not unescape to UTF-8: its sender must escape the bytes of a \
                 UTF-8 text"
            ),
        }
    }
}
