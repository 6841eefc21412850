//! The gauges of one durable.

use std::fmt;

use metrics::{Gauge, Unit, describe_gauge, gauge, with_recorder};

use super::Depth;

const PENDING: &str = "tidewire_consumer_pending_messages";
const UNACKNOWLEDGED: &str = "tidewire_consumer_unacknowledged_messages";
const REDELIVERED: &str = "tidewire_consumer_redelivered_messages";
const OLDEST: &str = "tidewire_consumer_oldest_pending_seconds";

/// Where it is said how much waits for a durable.
pub(super) struct Gauges {
    pending: Gauge,
    unacknowledged: Gauge,
    redelivered: Gauge,
    oldest: Gauge,
}

impl Gauges {
    /// Registers them with the recorder; `None` where there is none.
    pub(super) fn register(service: &str, consumer: &str) -> Option<Self> {
        if !is_recorded() {
            return None;
        }
        describe_gauge!(
            PENDING,
            Unit::Count,
            "Messages that the consumer was not given yet."
        );
        describe_gauge!(
            UNACKNOWLEDGED,
            Unit::Count,
            "Messages that the consumer was given and that are not settled: in hand, or waiting for another attempt."
        );
        describe_gauge!(
            REDELIVERED,
            Unit::Count,
            "Messages that are not settled and were delivered more than once."
        );
        describe_gauge!(
            OLDEST,
            Unit::Seconds,
            "How long ago the oldest message that is not settled was stored; 0 where none waits."
        );
        let labels = [("service", service.to_owned()), ("consumer", consumer.to_owned())];
        Some(Self {
            pending: gauge!(PENDING, &labels),
            unacknowledged: gauge!(UNACKNOWLEDGED, &labels),
            redelivered: gauge!(REDELIVERED, &labels),
            oldest: gauge!(OLDEST, &labels),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(super) fn say(&self, depth: Depth) {
        self.pending.set(depth.pending as f64);
        self.unacknowledged.set(depth.unacknowledged as f64);
        self.redelivered.set(depth.redelivered as f64);
        self.oldest
            .set(depth.oldest.map_or(f64::NAN, |oldest| oldest.as_secs_f64()));
    }

    /// What was true ten seconds ago may not be now.
    pub(super) fn unknown(&self) {
        for gauge in [
            &self.pending,
            &self.unacknowledged,
            &self.redelivered,
            &self.oldest,
        ] {
            gauge.set(f64::NAN);
        }
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauges").finish_non_exhaustive()
    }
}

/// Whether what is measured goes anywhere. The facade does not say; but the recorder that stands in where there is none
/// has no state, and one that keeps what it is told has some.
fn is_recorded() -> bool {
    with_recorder(|recorder| size_of_val(recorder) > 0)
}

#[cfg(test)]
mod tests {
    use metrics::{NoopRecorder, with_local_recorder};

    use super::*;

    #[test]
    fn the_stand_in_is_no_recorder() {
        assert!(!is_recorded());
        with_local_recorder(&NoopRecorder, || assert!(!is_recorded()));
        // As large as the smallest one that keeps something: a pointer to it.
        with_local_recorder(&Box::new(NoopRecorder), || assert!(is_recorded()));
    }
}
