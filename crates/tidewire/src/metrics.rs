//! What a running service tells of itself in figures, through the facade `metrics`: whatever recorder the process has
//! installed takes them, and without one they cost next to nothing.
//!
//! Every handle is made when the service starts, and kept: no message looks one up by its labels. A label is a name that
//! the declaration gives, or one of a fixed set of words. What a message says of itself is none, so that no sender can
//! make the series grow.

mod attempts;
mod letters;
mod recorder;
mod sends;

use std::sync::Arc;

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

pub(crate) use attempts::Attempts;
pub(crate) use letters::{Errors, Letters};
pub(crate) use recorder::installed;
pub(crate) use sends::Sends;

pub(crate) const SENT: &str = "messaging_client_sent_messages_total";
pub(crate) const CONSUMED: &str = "messaging_client_consumed_messages_total";
pub(crate) const PROCESS_DURATION: &str = "messaging_process_duration_seconds";
pub(crate) const CRITICAL_TIME: &str = "tidewire_critical_time_seconds";
pub(crate) const RETRIES: &str = "tidewire_retries_total";
pub(crate) const DEAD_LETTERS: &str = "tidewire_dead_letters_total";
pub(crate) const ERROR_EVENTS: &str = "tidewire_error_events_total";
pub(crate) const IN_FLIGHT: &str = "tidewire_in_flight_messages";
pub(crate) const BREAKER_STATE: &str = "tidewire_circuit_breaker_state";
pub(crate) const CONNECTED: &str = "tidewire_connected";
pub(crate) const RECONNECTS: &str = "tidewire_reconnects_total";
pub(crate) const BUILD_INFO: &str = "tidewire_build_info";

/// The one value for what the declaration does not name.
pub(crate) const OTHER: &str = "other";

/// Tells the recorder what each metric means, and which service is here.
pub(crate) fn begin(service: &str, version: &str) {
    describe_counter!(
        SENT,
        Unit::Count,
        "Events, commands and queries that the service sent, by what came of them"
    );
    describe_counter!(
        CONSUMED,
        Unit::Count,
        "Attempts to handle a message, by what came of them"
    );
    describe_histogram!(
        PROCESS_DURATION,
        Unit::Seconds,
        "How long an attempt to handle a message took, storing what it emitted included"
    );
    describe_histogram!(
        CRITICAL_TIME,
        Unit::Seconds,
        "How long after it was sent a message was handled, waiting and retries included"
    );
    describe_counter!(
        RETRIES,
        Unit::Count,
        "Failed attempts after which the message is tried again"
    );
    describe_counter!(
        DEAD_LETTERS,
        Unit::Count,
        "Messages that could not be handled and were stored in the dead letters"
    );
    describe_counter!(
        ERROR_EVENTS,
        Unit::Count,
        "Error events, by whether they were stored"
    );
    describe_gauge!(
        IN_FLIGHT,
        Unit::Count,
        "Messages that the handler works on at the moment"
    );
    describe_gauge!(
        BREAKER_STATE,
        Unit::Count,
        "The circuit breaker of a durable: 0 closed, 1 half open, 2 open"
    );
    describe_gauge!(
        CONNECTED,
        Unit::Count,
        "1 while the service is connected to NATS, otherwise 0"
    );
    describe_counter!(
        RECONNECTS,
        Unit::Count,
        "Connections to NATS that took the place of a lost one"
    );
    describe_gauge!(
        BUILD_INFO,
        Unit::Count,
        "1, with the version of the service and that of Tidewire"
    );
    gauge!(
        BUILD_INFO,
        "service" => service.to_owned(),
        "version" => version.to_owned(),
        "tidewire" => env!("CARGO_PKG_VERSION"),
    )
    .set(1);
}

/// Counters that differ in one label, whose values are known before.
#[derive(Debug)]
struct ByWord {
    words: &'static [&'static str],
    /// One for each word, and the last one for any other.
    counters: Vec<Counter>,
}

impl ByWord {
    fn new(words: &'static [&'static str], make: impl Fn(&'static str) -> Counter) -> Self {
        let all = words.iter().copied().chain([OTHER]);
        Self {
            words,
            counters: all.map(make).collect(),
        }
    }

    fn count(&self, word: &str) {
        let at = self.words.iter().position(|known| *known == word);
        if let Some(counter) = self.counters.get(at.unwrap_or(self.words.len())) {
            counter.increment(1);
        }
    }
}

/// The gauge of a durable's breaker.
pub(crate) fn breaker(service: &str, consumer: &Arc<str>) -> Gauge {
    gauge!(BREAKER_STATE, "service" => service.to_owned(), "consumer" => consumer.clone())
}

/// Whether a service is connected, and how often it was connected anew.
pub(crate) fn connection(service: &str) -> (Gauge, Counter) {
    let reconnects = counter!(RECONNECTS, "service" => service.to_owned());
    (gauge!(CONNECTED, "service" => service.to_owned()), reconnects)
}
