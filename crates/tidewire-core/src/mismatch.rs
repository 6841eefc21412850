//! Where data breaks its schema.

use std::fmt;

/// Where data breaks its schema, and what the schema expects there.
///
/// It never shows what was there: errors go to logs and to callers, where a message's body has no business. A name that
/// the schema does not have, such as the key of a map, is content too and stands as `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(Box<Place>);

/// Boxed, for every error of reading a message has room for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    path: String,
    expected: String,
}

impl Mismatch {
    #[cfg(feature = "validation")]
    pub(crate) fn new(path: String, expected: String) -> Self {
        Self(Box::new(Place { path, expected }))
    }

    /// The place in the data as a JSON pointer, such as `/lines/0/amount`; empty for the whole.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What the schema expects there, such as `at least 1`.
    pub fn expected(&self) -> &str {
        &self.0.expected
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            "" => f.write_str("at the top")?,
            path => write!(f, "at `{path}`")?,
        }
        write!(f, ", expected {}", self.expected())
    }
}

impl std::error::Error for Mismatch {}
