//! What becomes of messages that were not handled.

use std::sync::Arc;

use metrics::counter;
use tidewire_core::Outcome;

use super::{ByWord, DEAD_LETTERS, ERROR_EVENTS, RETRIES};

/// Why a message is a dead letter: what came of its last attempt, or, by the last three, what kept it from one.
const CLASSES: [&str; 12] = [
    "unavailable",
    "rejected",
    "panicked",
    "timed_out",
    "malformed",
    "invalid",
    "incompatible",
    "too_large",
    "corrupt",
    "exhausted",
    "crashed",
    "poison",
];

/// The classes of failed attempts: all but the first two.
const FAILURES: &[&str] = {
    const CLASSES: &[&str] = &Outcome::CLASSES;
    CLASSES.split_at(2).1
};

/// What is counted of a durable's failures.
#[derive(Clone, Debug)]
pub(crate) struct Letters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    retries: ByWord,
    dead: ByWord,
}

impl Letters {
    pub(crate) fn of(service: &str, consumer: &str) -> Self {
        let by_class = |name: &'static str, words: &'static [&'static str]| {
            let (service, consumer): (Arc<str>, Arc<str>) = (service.into(), consumer.into());
            ByWord::new(
                words,
                move |class| counter!(name, "service" => service.clone(), "consumer" => consumer.clone(), "error_class" => class),
            )
        };
        Self(Arc::new(Inner {
            retries: by_class(RETRIES, FAILURES),
            dead: by_class(DEAD_LETTERS, &CLASSES),
        }))
    }

    /// An attempt failed, and another one follows.
    pub(crate) fn retried(&self, class: &str) {
        self.0.retries.count(class);
    }

    /// A letter was stored.
    pub(crate) fn stored(&self, class: &str) {
        self.0.dead.count(class);
    }
}

/// What became of error events.
#[derive(Clone, Debug)]
pub(crate) struct Errors(Arc<ByWord>);

impl Errors {
    pub(crate) fn of(service: &str) -> Self {
        let service: Arc<str> = service.into();
        let counters = ByWord::new(
            &["stored", "refused", "dropped"],
            |outcome| counter!(ERROR_EVENTS, "service" => service.clone(), "outcome" => outcome),
        );
        Self(Arc::new(counters))
    }

    /// One was `stored`; `refused` by the stream; or `dropped`, because more came than could be sent.
    pub(crate) fn count(&self, outcome: &str) {
        self.0.count(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_attempt_that_is_the_last_may_come_to_is_a_class_of_dead_letters() {
        let (ends, _others) = CLASSES.split_at(CLASSES.len() - 3);
        // `failed` is tried again, and `exhausted` in the end.
        assert_eq!(FAILURES.split_first(), Some((&"failed", ends)));
    }
}
