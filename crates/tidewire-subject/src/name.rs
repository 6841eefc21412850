//! The names: of a context, of an entity in it, of a message.

mod context;
mod entity;
mod error;
mod message;
mod scan;
mod suggest;

pub use context::ContextName;
pub use entity::{EntityName, name_is_of_entity};
pub use error::NameError;
pub use message::MessageName;
pub use scan::{MAX_WORD, RESERVED_DOMAINS, Shape};

pub(crate) use scan::looks_like_major;

/// Holds one word to the grammar, for names that are a single word, such as a service's.
///
/// ```
/// assert!(tidewire_subject::check_word("payments").is_ok());
/// let error = tidewire_subject::check_word("PaymentService").unwrap_err();
/// assert!(error.to_string().contains("payment-service"));
/// ```
///
/// # Errors
///
/// The [`NameError`] that says which rule the word breaks; its text shows a correct form.
pub fn check_word(word: &str) -> Result<(), NameError> {
    scan::check_word(word.as_bytes(), 0, word.len()).map_err(|fault| NameError::new(word, Shape::Word, fault))
}

/// What the three name types have in common: parsing, the parts that each has, and identity by text.
macro_rules! name_type {
    ($name:ident, $shape:expr) => {
        impl $name {
            /// Reads a name and holds it to the grammar; one allocation.
            ///
            /// # Errors
            ///
            /// [`NameError`](crate::NameError) says which word breaks which rule, and shows a correct form.
            pub fn parse(text: &str) -> Result<Self, $crate::NameError> {
                match $crate::name::scan::scan(text, $shape) {
                    Ok(layout) => Ok(Self {
                        text: $crate::text::Text::shared(text),
                        layout,
                    }),
                    Err(fault) => Err($crate::NameError::new(text, $shape, fault)),
                }
            }

            /// Takes a literal without an allocation; in a `const`, a malformed one does not compile.
            ///
            /// # Panics
            ///
            /// When the literal breaks the grammar. For text that is not a literal there is `parse`.
            #[track_caller]
            pub const fn from_static(text: &'static str) -> Self {
                match $crate::name::scan::scan(text, $shape) {
                    Ok(layout) => Self {
                        text: $crate::text::Text::from_static(text),
                        layout,
                    },
                    Err(fault) => fault.refuse_literal(),
                }
            }

            /// The whole name, as it stands in a subject.
            pub fn as_str(&self) -> &str {
                self.text.as_str()
            }

            /// The first word.
            pub fn domain(&self) -> &str {
                self.layout.word(self.as_str(), 0)
            }

            /// The major version, when the second token is one.
            pub const fn major(&self) -> Option<u32> {
                self.layout.major()
            }

            /// The word of the context.
            pub fn context(&self) -> &str {
                self.layout.word(self.as_str(), 1)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name))
                    .field(&self.as_str())
                    .finish()
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        $crate::name::identity_by_text!($name);
    };
}

/// Equality, order and hash of the text, so that a map can be asked with a `&str`.
macro_rules! identity_by_text {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

pub(crate) use identity_by_text;
use name_type;

#[cfg(test)]
mod tests;
