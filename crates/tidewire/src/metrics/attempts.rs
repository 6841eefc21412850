//! The attempts of one handler.

use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};
use tidewire_core::{Outcome, Timestamp};
use tokio::time::Instant;

use super::{CONSUMED, CRITICAL_TIME, IN_FLIGHT, OTHER, PROCESS_DURATION};
use crate::{clock, delivery::Delivery, input::Input, tally::Ends};

/// What came of an attempt, in the order of [`Outcome::CLASSES`] as far as it goes: all behind are failures.
const OUTCOMES: [&str; 3] = ["handled", "declined", "failed"];

/// What is counted and measured of one handler.
#[derive(Clone, Debug)]
pub(crate) struct Attempts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Arc<str>,
    consumer: Arc<str>,
    /// By the names of the messages that the handler takes.
    declared: Vec<(&'static str, OfMessage)>,
    /// Of what has no such name: other people's messages, and all that a wildcard brings.
    other: OnceLock<OfMessage>,
    in_flight: Gauge,
    tally: Arc<Ends>,
}

#[derive(Debug)]
struct OfMessage {
    /// In the order of [`Outcome::CLASSES`].
    consumed: Vec<Counter>,
    /// In the order of [`OUTCOMES`].
    duration: Vec<Histogram>,
    critical_time: Histogram,
}

/// An attempt under way. One that comes to no end, because the process leaves it, is in flight no more and counted nowhere.
#[derive(Debug)]
pub(crate) struct Attempted<'a> {
    attempts: &'a Inner,
    of: &'a OfMessage,
    began: Instant,
    sent: Timestamp,
}

impl Attempts {
    /// Those of a handler that has not started: nobody hears of them.
    pub(crate) fn unheard() -> Self {
        Self(Arc::new(Inner {
            service: "".into(),
            consumer: "".into(),
            declared: Vec::new(),
            other: OnceLock::new(),
            in_flight: Gauge::noop(),
            tally: Arc::default(),
        }))
    }

    /// Those of a handler, which is called as its consumer is.
    pub(crate) fn of(
        service: &str,
        consumer: &Arc<str>,
        takes: impl Iterator<Item = &'static str>,
        tally: Arc<Ends>,
    ) -> Self {
        let service: Arc<str> = service.into();
        let in_flight = gauge!(IN_FLIGHT, "service" => service.clone(), "consumer" => consumer.clone());
        in_flight.increment(0);
        Self(Arc::new(Inner {
            declared: takes
                .map(|name| (name, OfMessage::new(&service, consumer, name)))
                .collect(),
            other: OnceLock::new(),
            in_flight,
            tally,
            consumer: consumer.clone(),
            service,
        }))
    }

    /// An attempt begins now.
    pub(crate) fn begins(&self, delivery: &Delivery, now: Instant) -> Attempted<'_> {
        let attempts = &*self.0;
        let input = delivery.outbox.input();
        attempts.in_flight.increment(1);
        Attempted {
            of: attempts.of(input, delivery),
            began: now,
            sent: input.timestamp(),
            attempts,
        }
    }
}

impl Inner {
    fn of(&self, input: &Input, delivery: &Delivery) -> &OfMessage {
        let mut declared = self.declared.iter();
        let found = match input {
            Input::Envelope(envelope) => {
                let name = envelope.subject.name().as_str();
                declared.find(|(declared, _)| *declared == name)
            }
            // What it says of itself cannot be read; where it came, can.
            Input::Foreign { .. } => declared.find(|(declared, _)| is_of(delivery.subject(), declared)),
        };
        match found {
            Some((_, of)) => of,
            None => self
                .other
                .get_or_init(|| OfMessage::new(&self.service, &self.consumer, OTHER)),
        }
    }
}

/// Whether a subject is that of a message of this name, with a key or without one.
fn is_of(subject: &str, name: &str) -> bool {
    subject
        .strip_prefix(name)
        .is_some_and(|key| key.is_empty() || key.starts_with('.'))
}

impl OfMessage {
    fn new(service: &Arc<str>, consumer: &Arc<str>, message: &'static str) -> Self {
        let labels = || {
            vec![
                Label::new("service", service.clone()),
                Label::new("consumer", consumer.clone()),
                Label::new("message", message),
            ]
        };
        let ended = |outcome: &'static str| {
            let mut labels = labels();
            labels.push(Label::new("outcome", outcome));
            labels
        };
        let ends = Outcome::CLASSES.into_iter().enumerate().map(|(at, class)| {
            let mut labels = ended(outcome(at));
            if at >= OUTCOMES.len() - 1 {
                labels.push(Label::new("error_class", class));
            }
            counter!(CONSUMED, labels)
        });
        let duration = OUTCOMES.map(|outcome| histogram!(PROCESS_DURATION, ended(outcome)));
        Self {
            consumed: ends.collect(),
            duration: duration.into(),
            critical_time: histogram!(CRITICAL_TIME, labels()),
        }
    }
}

/// What is said of the class at this place.
fn outcome(class: usize) -> &'static str {
    OUTCOMES[class.min(OUTCOMES.len() - 1)]
}

impl Attempted<'_> {
    /// It comes to its end now.
    pub(crate) fn ends(self, outcome: &Outcome, now: Instant) {
        let class = outcome.class();
        // A class that this list does not know is a failure like any other.
        let at = Outcome::CLASSES.iter().position(|known| *known == class);
        let at = at.unwrap_or(OUTCOMES.len() - 1);
        self.attempts.tally.count(at);
        if let Some(counter) = self.of.consumed.get(at) {
            counter.increment(1);
        }
        if let Some(duration) = self.of.duration.get(at.min(OUTCOMES.len() - 1)) {
            duration.record(now.saturating_duration_since(self.began));
        }
        if outcome.is_success() {
            self.of.critical_time.record(clock::now().since(self.sent));
        }
    }
}

impl Drop for Attempted<'_> {
    fn drop(&mut self) {
        self.attempts.in_flight.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_and_classes_begin_alike() {
        assert_eq!(Outcome::CLASSES[..OUTCOMES.len()], OUTCOMES);
        assert_eq!(outcome(9), "failed");
    }

    #[test]
    fn a_subject_is_of_its_own_name_only() {
        assert!(is_of("a.b.c.d", "a.b.c.d") && is_of("a.b.c.d.k", "a.b.c.d"));
        assert!(!is_of("a.b.c.done", "a.b.c.d"));
    }
}
