//! What can be wrong with a subject.

use std::error::Error;
use std::fmt;

use super::MAX_SUBJECT;
use crate::{KeyError, NameError};

/// A text is not a subject of the grammar, or a name and a key make none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectError {
    /// The words break the grammar.
    Name(NameError),
    /// The key breaks the grammar.
    Key(KeyError),
    /// A key was given for a message that has no entity: the key would read as its action.
    KeyWithoutEntity {
        /// The message's name.
        name: String,
        /// The key's text.
        key: String,
    },
    /// There is a token behind the key, which is reserved for event numbers.
    EventNumberReserved {
        /// The subject.
        subject: String,
    },
    /// There are more tokens than any subject has.
    TooManyTokens {
        /// The subject.
        subject: String,
        /// How many tokens it has.
        found: usize,
    },
    /// The subject has more than [`MAX_SUBJECT`](crate::MAX_SUBJECT) bytes.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl Error for SubjectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // `Display` gives the text of the inner error as its own, so the chain goes on behind it.
        match self {
            Self::Name(error) => error.source(),
            Self::Key(error) => error.source(),
            _ => None,
        }
    }
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::KeyWithoutEntity { name, key } => write!(
                f,
                "the message `{name}` has no entity and cannot have the key {key:?}: name its entity, as in \
                 `<domain>.<context>.<entity>.<action>`, or leave the key out"
            ),
            Self::EventNumberReserved { subject } => write!(
                f,
                "{subject:?} has a token behind the key, which is reserved for event numbers: publish to \
                 `<name>.<key>`, with the `.` of a key escaped by `Key::new`"
            ),
            Self::TooManyTokens { subject, found } => write!(
                f,
                "{subject:?} has {found} tokens, and a subject has at most four words, a major version and a key: \
                 escape the `.` of a key with `Key::new`"
            ),
            Self::TooLong { length } => write!(
                f,
                "the subject has {length} bytes and may have {MAX_SUBJECT}: make it of a name and a key with \
                 `Subject::new`"
            ),
        }
    }
}

impl From<NameError> for SubjectError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<KeyError> for SubjectError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}
