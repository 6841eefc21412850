//! What a service sends.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use metrics::{Counter, counter};

use super::{ByWord, OTHER, SENT};
use crate::{ask::AskError, publish_error::PublishError, sender::Stored};

/// Why an event or a durable command was not stored.
const NOT_STORED: [&str; 9] = [
    "encode",
    "not_permitted",
    "no_stream",
    "no_queue",
    "other_stream",
    "full",
    "too_large",
    "refused",
    "unconfirmed",
];
/// Why a request has no answer.
const NOT_ANSWERED: [&str; 8] = [
    "encode",
    "not_permitted",
    "no_responders",
    "timed_out",
    "too_large",
    "unreadable",
    "captured",
    "client",
];

/// What is counted of what a service sends; nothing by default, for tools.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sends(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    service: Arc<str>,
    stored: BTreeMap<&'static str, Publishes>,
    asked: BTreeMap<&'static str, Requests>,
    /// Of what an older version of the service left to be sent, and this one does not declare.
    other: OnceLock<Publishes>,
}

#[derive(Debug)]
struct Publishes {
    stored: Counter,
    duplicate: Counter,
    failed: ByWord,
}

#[derive(Debug)]
struct Requests {
    answered: Counter,
    refused: Counter,
    failed: ByWord,
}

impl Sends {
    /// Those of a service that stores and asks messages of these names.
    pub(crate) fn of(
        service: &str,
        stored: impl IntoIterator<Item = &'static str>,
        asked: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let service: Arc<str> = service.into();
        let publishes = |name| (name, Publishes::new(&service, name));
        let requests = |name| (name, Requests::new(&service, name));
        Self(Some(Arc::new(Inner {
            stored: stored.into_iter().map(publishes).collect(),
            asked: asked.into_iter().map(requests).collect(),
            other: OnceLock::new(),
            service: service.clone(),
        })))
    }

    /// Counts an event or a durable command of this name.
    pub(crate) fn published(&self, name: &str, stored: &Result<Stored, PublishError>) {
        let Some(sends) = &self.0 else { return };
        let of = sends.stored_as(name);
        match stored {
            Ok(Stored { duplicate: false, .. }) => of.stored.increment(1),
            Ok(_) => of.duplicate.increment(1),
            Err(error) => of.failed.count(word(error.class())),
        }
    }

    /// Counts an event or a durable command that failed before it was sent.
    pub(crate) fn unsent(&self, name: &str, error: &PublishError) {
        if let Some(sends) = &self.0 {
            sends.stored_as(name).failed.count(word(error.class()));
        }
    }

    /// Counts a message of this name that could not be written.
    pub(crate) fn unwritten(&self, name: &str) {
        let Some(sends) = &self.0 else { return };
        let stored = sends.stored.get(name).map(|of| &of.failed);
        let asked = || sends.asked.get(name).map(|of| &of.failed);
        if let Some(failed) = stored.or_else(asked) {
            failed.count("encode");
        }
    }

    /// Counts a request of this name.
    pub(crate) fn asked<R>(&self, name: &str, answer: &Result<R, AskError>) {
        let of = self.0.as_ref().and_then(|sends| sends.asked.get(name));
        // Whoever asks has declared it.
        let Some(of) = of else { return };
        match answer {
            Ok(_) => of.answered.increment(1),
            Err(AskError::Refused { .. }) => of.refused.increment(1),
            Err(error) => of.failed.count(word(error.class())),
        }
    }
}

impl Inner {
    fn stored_as(&self, name: &str) -> &Publishes {
        let of = self.stored.get(name);
        of.unwrap_or_else(|| self.other.get_or_init(|| Publishes::new(&self.service, OTHER)))
    }
}

impl Publishes {
    fn new(service: &Arc<str>, message: &'static str) -> Self {
        Self {
            stored: sent(service, message, "stored"),
            duplicate: sent(service, message, "duplicate"),
            failed: ByWord::new(&NOT_STORED, |class| failed(service, message, class)),
        }
    }
}

impl Requests {
    fn new(service: &Arc<str>, message: &'static str) -> Self {
        Self {
            answered: sent(service, message, "answered"),
            refused: sent(service, message, "refused"),
            failed: ByWord::new(&NOT_ANSWERED, |class| failed(service, message, class)),
        }
    }
}

fn sent(service: &Arc<str>, message: &'static str, outcome: &'static str) -> Counter {
    counter!(SENT, "service" => service.clone(), "message" => message, "outcome" => outcome)
}

fn failed(service: &Arc<str>, message: &'static str, class: &'static str) -> Counter {
    counter!(
        SENT, "service" => service.clone(), "message" => message, "outcome" => "failed", "error_class" => class
    )
}

/// The word that spans have for it, but for a header: whoever counts has one word for all that could not be written.
fn word(class: &str) -> &str {
    if class == "header" { "encode" } else { class }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what a stream does not take, all has a word of its own; what is counted as any other is what keeps a message from
    /// being sent at all.
    #[test]
    fn what_is_not_stored_has_a_word_of_its_own() {
        let (text, within) = (String::new, std::time::Duration::ZERO);
        let errors = [
            PublishError::NoStream {
                subject: text(),
                context: text(),
                within,
            },
            PublishError::NoQueue {
                subject: text(),
                context: text(),
                within,
            },
            PublishError::OtherStream {
                subject: text(),
                expected: text(),
                reason: text(),
            },
            PublishError::Full {
                stream: text(),
                reason: text(),
            },
            PublishError::TooLarge {
                subject: text(),
                reason: text(),
            },
            PublishError::Refused {
                subject: text(),
                code: 10_000,
                reason: text(),
            },
            PublishError::Unconfirmed {
                subject: text(),
                within,
            },
        ];
        let words: Vec<_> = errors.iter().map(|error| word(error.class())).collect();
        assert_eq!(
            words,
            [
                "no_stream",
                "no_queue",
                "other_stream",
                "full",
                "too_large",
                "refused",
                "unconfirmed"
            ]
        );
        assert!(words.iter().all(|word| NOT_STORED.contains(word)));
        let data = PublishError::Data {
            subject: text(),
            bucket: text(),
            source: "no room".into(),
        };
        assert!(!NOT_STORED.contains(&word(data.class())));
    }
}
