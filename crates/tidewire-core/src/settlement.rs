//! What becomes of a message once it was handled.

use std::time::Duration;

use crate::{Class, DecodeError, ErrorBody, Failure};

/// What came of one attempt to handle a message.
#[derive(Debug)]
pub enum Outcome {
    /// It was handled, and what follows from it is stored.
    Done,
    /// The handler, or storing what it emitted, failed.
    Failed(Failure),
    /// It could not be understood.
    NotUnderstood(DecodeError),
    /// The handler panicked with this text.
    Panicked(String),
}

/// What is said to the stream about one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done; never deliver it again.
    Ack,
    /// Deliver it again, and not before this long.
    Nak(Duration),
}

/// The longest wait between two attempts; also how long a message waits that no attempt can help.
const LONGEST: Duration = Duration::from_secs(300);

/// How long to wait after the given attempt (from 1): a second, doubled each time up to five minutes, and up to a
/// tenth more by `jitter` (0 to 1), so that a thousand messages that failed together do not come back together.
pub fn retry_delay(attempt: u32, jitter: f64) -> Duration {
    let delay = Duration::from_secs(1 << attempt.saturating_sub(1).min(9)).min(LONGEST);
    delay + delay.mul_f64(jitter.clamp(0.0, 1.0) / 10.0)
}

impl Outcome {
    /// What to say to the stream. Nothing that was not handled is ever let go: what no attempt can help waits the
    /// longest delay, stays counted as unacknowledged, and is handled once the code or the sender has changed.
    pub fn settlement(&self, attempt: u32, jitter: f64) -> Settlement {
        match self {
            Self::Done => Settlement::Ack,
            Self::NotUnderstood(_) => Settlement::Nak(LONGEST),
            Self::Panicked(_) => Settlement::Nak(retry_delay(attempt, jitter)),
            Self::Failed(failure) => match failure.class() {
                Class::Decline(_) => Settlement::Ack,
                Class::Reject => Settlement::Nak(LONGEST),
                Class::Retry(Some(delay)) => Settlement::Nak(*delay),
                Class::Retry(None) | Class::Unavailable => Settlement::Nak(retry_delay(attempt, jitter)),
            },
        }
    }

    /// What a caller who waits for the answer hears instead of it; `None` where all went well.
    pub fn refusal(&self) -> Option<ErrorBody> {
        let (code, message, retryable) = match self {
            Self::Done => return None,
            Self::NotUnderstood(error) => (error.class(), error.to_string(), false),
            Self::Panicked(text) => ("panicked", format!("the handler panicked: {text}"), true),
            Self::Failed(failure) => match failure.class() {
                Class::Retry(_) => ("failed", failure.to_string(), true),
                Class::Unavailable => ("unavailable", failure.to_string(), true),
                Class::Reject => ("rejected", failure.to_string(), false),
                Class::Decline(code) => (*code, failure.to_string(), false),
            },
        };
        Some(ErrorBody {
            code: code.into(),
            message,
            retryable,
            details: serde_json::Value::Null,
        })
    }

    /// What came of it in a word, for counting: `handled`, `declined`, or the class of the error.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Done => "handled",
            Self::NotUnderstood(error) => error.class(),
            Self::Panicked(_) => "panicked",
            Self::Failed(failure) => match failure.class() {
                Class::Retry(_) => "failed",
                Class::Unavailable => "unavailable",
                Class::Reject => "rejected",
                Class::Decline(_) => "declined",
            },
        }
    }

    /// Whether the service did what was asked, an answer "no" included.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Failed(failure) => matches!(failure.class(), Class::Decline(_)),
            Self::NotUnderstood(_) | Self::Panicked(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(class: Class) -> Outcome {
        Outcome::Failed(Failure::new(class, "boom"))
    }

    #[test]
    fn only_what_is_done_or_declined_is_acked() {
        assert_eq!(Outcome::Done.settlement(1, 0.0), Settlement::Ack);
        assert_eq!(
            failed(Class::Decline("sold_out")).settlement(1, 0.0),
            Settlement::Ack
        );
        let panicked = Outcome::Panicked("boom".into());
        let rest = [
            failed(Class::Reject),
            failed(Class::Unavailable),
            failed(Class::Retry(None)),
            panicked,
        ];
        for outcome in rest {
            assert!(
                matches!(outcome.settlement(1, 0.0), Settlement::Nak(_)),
                "{outcome:?}"
            );
            assert!(!outcome.is_success());
        }
    }

    #[test]
    fn a_callers_refusal_says_whether_to_try_again() {
        let refusal = |class| failed(class).refusal().unwrap();
        assert!(refusal(Class::Retry(None)).retryable);
        assert!(refusal(Class::Unavailable).retryable);
        assert!(!refusal(Class::Reject).retryable);
        assert_eq!(refusal(Class::Decline("sold_out")).code, "sold_out");
        assert!(!refusal(Class::Decline("sold_out")).retryable);
    }

    proptest! {
        #[test]
        fn delays_grow_and_are_floors(attempt in 0..u32::MAX, jitter in -1.0..2.0f64) {
            let floor = retry_delay(attempt, 0.0);
            prop_assert!(floor >= Duration::from_secs(1) && floor <= LONGEST);
            prop_assert!(retry_delay(attempt, jitter) >= floor);
            prop_assert!(retry_delay(attempt, jitter) <= floor + floor / 10 + Duration::from_nanos(1));
            prop_assert!(retry_delay(attempt.saturating_add(1), 0.0) >= floor);
        }
    }
}
