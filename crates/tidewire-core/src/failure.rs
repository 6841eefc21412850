//! How a handler says that something went wrong, and what should follow.

use std::{error::Error as StdError, fmt, time::Duration};

/// Any error.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What should follow from a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Try again later: after the given delay, or after the policy's.
    Retry(Option<Duration>),
    /// Something that the handler needs is down: try again later.
    Unavailable,
    /// Trying again does not help: the message or the code must change.
    Reject,
    /// A business answer and no failure: "no", with a code that the caller compares.
    Decline(&'static str),
}

impl Class {
    /// The class in a word, for counting and for telemetry.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Retry(_) => "failed",
            Self::Unavailable => "unavailable",
            Self::Reject => "rejected",
            Self::Decline(_) => "declined",
        }
    }
}

/// A handler's failure: what should follow, and why.
///
/// Made by [`OrFail`]'s methods on any `Result`, or by `?` on a `std::error::Error`, which means "try again later".
pub struct Failure {
    class: Class,
    cause: BoxError,
}

impl Failure {
    /// A failure of `class` because of `cause`.
    pub fn new(class: Class, cause: impl Into<BoxError>) -> Self {
        Self {
            class,
            cause: cause.into(),
        }
    }

    /// A business answer: "no", with a `code` that the caller compares and a `reason` for people.
    pub fn decline(code: &'static str, reason: impl fmt::Display) -> Self {
        Self::new(Class::Decline(code), reason.to_string())
    }

    /// What should follow.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// Both, for whoever passes the cause on.
    pub fn into_parts(self) -> (Class, BoxError) {
        (self.class, self.cause)
    }

    /// Why.
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.cause
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("class", &self.class)
            .field("cause", &self.cause)
            .finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut source = self.cause.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self::new(Class::Retry(None), cause)
    }
}

/// Says what should follow from an error, at the place where it is known.
///
/// ```
/// use tidewire_core::{Failure, OrFail};
///
/// fn quantity(text: &str) -> Result<u32, Failure> {
///     text.parse().or_reject() // no later attempt makes this a number
/// }
/// assert!(quantity("many").is_err());
/// ```
pub trait OrFail<T>: Sized {
    /// Turns an error into a failure of `class`.
    ///
    /// # Errors
    /// The failure.
    fn or_fail(self, class: Class) -> Result<T, Failure>;

    /// Try again after the policy's delay. A caller who waits hears `retryable: true`.
    ///
    /// # Errors
    /// The failure.
    fn or_retry(self) -> Result<T, Failure> {
        self.or_fail(Class::Retry(None))
    }

    /// Try again, and not before `delay` is over.
    ///
    /// # Errors
    /// The failure.
    fn or_retry_after(self, delay: Duration) -> Result<T, Failure> {
        self.or_fail(Class::Retry(Some(delay)))
    }

    /// Something that the handler needs is down; the message is not at fault.
    ///
    /// # Errors
    /// The failure.
    fn or_unavailable(self) -> Result<T, Failure> {
        self.or_fail(Class::Unavailable)
    }

    /// Trying again does not help. A caller who waits hears `retryable: false`.
    ///
    /// # Errors
    /// The failure.
    fn or_reject(self) -> Result<T, Failure> {
        self.or_fail(Class::Reject)
    }

    /// A business answer and no failure: the message is done, and a caller who waits hears `code`. What the handler
    /// emitted is forgotten: one that has to tell of a no emits that and returns `Ok`.
    ///
    /// # Errors
    /// The answer.
    fn or_decline(self, code: &'static str) -> Result<T, Failure> {
        self.or_fail(Class::Decline(code))
    }
}

impl<T, E: Into<BoxError>> OrFail<T> for Result<T, E> {
    fn or_fail(self, class: Class) -> Result<T, Failure> {
        self.map_err(|cause| Failure::new(class, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_question_mark_means_try_again() {
        fn parse(text: &str) -> Result<u32, Failure> {
            Ok(text.parse()?)
        }
        assert_eq!(parse("x").unwrap_err().class(), &Class::Retry(None));
    }

    #[test]
    fn the_chain_of_causes_is_shown() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot charge")]
        struct Charge(#[source] std::num::ParseIntError);
        let failure: Failure = Charge("x".parse::<u8>().unwrap_err()).into();
        assert_eq!(
            failure.to_string(),
            "cannot charge: invalid digit found in string"
        );
    }
}
