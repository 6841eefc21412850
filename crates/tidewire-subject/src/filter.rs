//! Filters: what is subscribed to.

mod algebra;
mod error;

use std::fmt;
use std::str::FromStr;

pub use error::FilterError;

use crate::text::{Text, excerpt};
use crate::{MAX_SUBJECT, MessageName};

/// A set of subjects: `*` stands for one token, a last `>` for one or more.
///
/// It is any subscription of NATS and not only of our grammar, so that foreign subjects can be looked at too.
/// A `*` or `>` beside other characters in its token is an ordinary character, as it is for the server.
///
/// ```
/// use tidewire_subject::SubjectFilter;
///
/// let payments = SubjectFilter::parse("orders.payments.>")?;
/// assert!(payments.matches("orders.payments.payment.processed.p-42"));
/// assert!(payments.covers(&SubjectFilter::parse("orders.payments.*.failed.*")?));
/// assert!(payments.overlaps(&SubjectFilter::parse("*.payments.process")?));
/// # Ok::<(), tidewire_subject::FilterError>(())
/// ```
#[derive(Clone)]
pub struct SubjectFilter {
    text: Text,
    /// Known from the start, so that a filter without wildcards is compared as a whole.
    literal: bool,
}

impl SubjectFilter {
    /// Reads a filter as nats-server would.
    ///
    /// White space and control characters are refused in every form that Unicode knows; the server knows only
    /// those of ASCII that break its protocol.
    ///
    /// # Errors
    ///
    /// When it is empty or over [`MAX_SUBJECT`] bytes, has an empty token, white space or a control character,
    /// or a `>` that is not the last token.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > MAX_SUBJECT {
            return Err(FilterError::TooLong { length: text.len() });
        }
        if let Some(character) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(FilterError::ForeignCharacter {
                filter: excerpt(text),
                character,
            });
        }
        let (mut literal, mut ended) = (true, false);
        for token in text.split('.') {
            match token {
                "" => {
                    return Err(FilterError::EmptyToken {
                        filter: excerpt(text),
                    });
                }
                _ if ended => {
                    return Err(FilterError::TailNotLast {
                        filter: excerpt(text),
                    });
                }
                ">" => (literal, ended) = (false, true),
                "*" => literal = false,
                _ => {}
            }
        }
        Ok(Self {
            text: Text::shared(text),
            literal,
        })
    }

    /// Every subject of one message: `name`, or `name.*` where the message is keyed.
    ///
    /// A message without an entity is never keyed, so for it the answer is always `name`: a `name.*` would be
    /// the messages of an entity that has the name's action for its word.
    pub fn of_message(name: &MessageName, keyed: bool) -> Self {
        if keyed && name.has_entity() {
            Self {
                text: Text::shared(&format!("{name}.*")),
                literal: false,
            }
        } else {
            Self {
                text: name.text.clone(),
                literal: true,
            }
        }
    }

    /// The filter, as it is subscribed to.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Whether the filter has no wildcard, and so stands for one subject.
    pub const fn is_literal(&self) -> bool {
        self.literal
    }

    /// Whether a subject is in the set, exactly as nats-server decides it; nothing is allocated.
    ///
    /// A text with an empty token is no subject and matches nothing. In the subject, `*` and `>` are ordinary
    /// tokens.
    pub fn matches(&self, subject: &str) -> bool {
        if self.literal {
            return self.as_str() == subject;
        }
        algebra::matches(self.as_str(), subject)
    }

    /// Whether some subject matches both filters.
    pub fn overlaps(&self, other: &Self) -> bool {
        algebra::overlaps(self.as_str(), other.as_str())
    }

    /// Whether every subject of the other filter matches this one.
    pub fn covers(&self, other: &Self) -> bool {
        algebra::covers(self.as_str(), other.as_str())
    }
}

impl fmt::Display for SubjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SubjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubjectFilter").field(&self.as_str()).finish()
    }
}

impl FromStr for SubjectFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

crate::name::identity_by_text!(SubjectFilter);

#[cfg(test)]
mod tests;
