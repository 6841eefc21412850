//! What came of one attempt to handle a message.

use std::time::Duration;

use crate::{Class, DecodeError, ErrorBody, Failure, text::head};

/// The most bytes that are kept of an error's text, and of those of its causes together: a text may hold all that somebody
/// else answered, and it is stored with the count of runs, in letters and in error events.
const MOST: usize = 8 << 10;

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
    /// It took longer than the handler may.
    TimedOut(Duration),
}

impl Outcome {
    /// Every word that [`class`](Self::class) says.
    pub const CLASSES: [&'static str; 12] = [
        "handled",
        "declined",
        "failed",
        "unavailable",
        "rejected",
        "panicked",
        "timed_out",
        "malformed",
        "invalid",
        "incompatible",
        "too_large",
        "corrupt",
    ];

    /// What a caller who waits for the answer hears instead of it; `None` where all went well.
    pub fn refusal(&self) -> Option<ErrorBody> {
        let (code, message, retryable) = match self {
            Self::Done => return None,
            Self::NotUnderstood(error) => (error.class(), error.to_string(), false),
            Self::Panicked(_) => ("panicked", self.error(), true),
            Self::TimedOut(_) => ("timed_out", self.error(), true),
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
            Self::TimedOut(_) => "timed_out",
            Self::Failed(failure) => failure.class().word(),
        }
    }

    /// Whether the service did what was asked, an answer "no" included.
    pub fn is_success(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Failed(failure) => matches!(failure.class(), Class::Decline(_)),
            Self::NotUnderstood(_) | Self::Panicked(_) | Self::TimedOut(_) => false,
        }
    }

    /// What went wrong, in 8 KiB at the most; empty where nothing did.
    pub fn error(&self) -> String {
        let text = match self {
            Self::Done => String::new(),
            Self::NotUnderstood(error) => error.to_string(),
            Self::Panicked(text) => format!("the handler panicked: {text}"),
            Self::TimedOut(limit) => format!("the handler did not finish within {limit:?}"),
            Self::Failed(failure) => failure.cause().to_string(),
        };
        cut(text, MOST)
    }

    /// The causes of what went wrong, outermost first, in 8 KiB at the most.
    pub fn causes(&self) -> Vec<String> {
        let mut source = match self {
            Self::Failed(failure) => failure.cause().source(),
            Self::NotUnderstood(error) => std::error::Error::source(error),
            Self::Done | Self::Panicked(_) | Self::TimedOut(_) => None,
        };
        let (mut causes, mut left) = (Vec::new(), MOST);
        while let Some(cause) = source.filter(|_| left > 0) {
            let text = cut(cause.to_string(), left);
            left = left.saturating_sub(text.len().max(1));
            causes.push(text);
            source = cause.source();
        }
        causes
    }
}

/// The text, with `…` in the place of what is more than `most` bytes.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(head(&text, most).len());
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: Class) -> Outcome {
        Outcome::Failed(Failure::new(class, "boom"))
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Chained {
        text: String,
        source: Option<Box<Chained>>,
    }

    /// Texts of a megabyte could not be counted: the letter told of crashes that never were.
    #[test]
    fn what_an_error_says_is_bounded() {
        let chained = |text: String, source| Chained { text, source };
        let mut error = chained("ü".repeat(1 << 20), None);
        for _ in 0..3_000 {
            error = chained("it broke".to_owned(), Some(Box::new(error)));
        }
        let outcome = Outcome::Failed(Failure::new(Class::Reject, error));
        assert_eq!(outcome.error(), "it broke");
        let causes = outcome.causes();
        assert!(causes.len() <= MOST / 8 + 1 && causes.iter().all(|cause| cause == "it broke"));

        let long = Outcome::Panicked("ü".repeat(1 << 20));
        let text = long.error();
        assert!(text.len() <= MOST + 3 && text.ends_with("ü…"), "{}", text.len());
        let error = chained("a".into(), Some(Box::new(chained("ü".repeat(1 << 20), None))));
        let causes = Outcome::Failed(Failure::new(Class::Reject, error)).causes();
        assert!(causes.len() == 1 && causes[0].len() <= MOST + 3);
    }

    #[test]
    fn every_class_is_in_the_list() {
        let mut outcomes = vec![
            Outcome::Done,
            Outcome::Panicked(String::new()),
            Outcome::TimedOut(Duration::ZERO),
        ];
        outcomes.extend(
            [
                Class::Retry(None),
                Class::Unavailable,
                Class::Reject,
                Class::Decline("no"),
            ]
            .map(failed),
        );
        for outcome in outcomes {
            assert!(Outcome::CLASSES.contains(&outcome.class()), "{}", outcome.class());
        }
        // Those of what is not understood; `DecodeError::class` says which are which.
        for class in ["malformed", "invalid", "incompatible", "too_large", "corrupt"] {
            assert!(Outcome::CLASSES.contains(&class));
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
        assert!(
            Outcome::TimedOut(Duration::from_secs(1))
                .refusal()
                .unwrap()
                .retryable
        );
    }
}
