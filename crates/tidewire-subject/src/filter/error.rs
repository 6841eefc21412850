//! What can be wrong with a filter.

use std::fmt;

use crate::MAX_SUBJECT;

/// A text cannot be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterError {
    /// There is no text.
    Empty,
    /// The filter has more than [`MAX_SUBJECT`](crate::MAX_SUBJECT) bytes.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Two dots stand together, or a dot begins or ends the filter.
    EmptyToken {
        /// The filter.
        filter: String,
    },
    /// There is white space or a control character.
    ForeignCharacter {
        /// The filter.
        filter: String,
        /// The first character that may not be there.
        character: char,
    },
    /// A `>` is not the last token.
    TailNotLast {
        /// The filter.
        filter: String,
    },
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the filter is empty: write `>` for every subject"),
            Self::TooLong { length } => {
                write!(
                    f,
                    "the filter has {length} bytes and may have {MAX_SUBJECT}: shorten it with `*` or `>`"
                )
            }
            Self::EmptyToken { filter } => {
                write!(
                    f,
                    "the filter {filter:?} has an empty token: write `*` for any one token"
                )
            }
            Self::ForeignCharacter { filter, character } => {
                write!(
                    f,
                    "the filter {filter:?} holds {character:?}: leave white space and control characters out"
                )
            }
            Self::TailNotLast { filter } => {
                write!(
                    f,
                    "the filter {filter:?} has a `>` before its end: write `*` for one token in the middle"
                )
            }
        }
    }
}
