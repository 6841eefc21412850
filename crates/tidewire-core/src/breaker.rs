//! A circuit breaker: while what a handler needs is down, nothing is tried.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Where a circuit breaker stands: pure, on a clock that the caller reads.
///
/// It opens when what a handler needs was unavailable. After a wait one message probes; if that is unavailable too, the
/// wait doubles, and whatever else comes of it closes the breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    /// The first wait, and the longest.
    waits: (Duration, Duration),
    /// How many must be unavailable one after the other.
    threshold: u32,
    state: Standing,
    /// Somebody opened or closed it by hand.
    forced: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Closed { failures: u32 },
    Open { until: Duration, wait: Duration },
    Probing { wait: Duration },
}

/// Whether a message may be handled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted,
    /// It may, and what comes of it decides whether the breaker closes.
    Probe,
    /// Not before this time of the clock.
    NotBefore(Duration),
    /// Not before a probe has ended, or somebody closes it.
    NotYet,
}

/// A circuit as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// Messages are handled.
    Closed,
    /// Nothing is tried.
    Open,
    /// One message is tried.
    HalfOpen,
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half open",
        })
    }
}

impl Circuit {
    /// Closed. It opens when `threshold` messages in a row were unavailable, for `first`, and for up to `longest` while
    /// probes fail.
    pub fn new(threshold: u32, first: Duration, longest: Duration) -> Self {
        Self {
            waits: (first, longest.max(first)),
            threshold: threshold.max(1),
            state: Standing::Closed { failures: 0 },
            forced: None,
        }
    }

    /// Whether a message may be handled at `now`. Of those that may not, one becomes the probe when the wait is over.
    pub fn admit(&mut self, now: Duration) -> Admission {
        match (self.forced, self.state) {
            (Some(true), _) | (None, Standing::Probing { .. }) => Admission::NotYet,
            (Some(false), _) | (None, Standing::Closed { .. }) => Admission::Admitted,
            (None, Standing::Open { until, .. }) if now < until => Admission::NotBefore(until),
            (None, Standing::Open { wait, .. }) => {
                self.state = Standing::Probing { wait };
                Admission::Probe
            }
        }
    }

    /// What the message needed was unavailable; a rule may say for how long nothing is to be tried.
    pub fn unavailable(&mut self, now: Duration, probe: bool, pause: Option<Duration>) {
        let (first, longest) = self.waits;
        let wait = match self.state {
            Standing::Probing { wait } if probe => Some((wait * 2).min(longest)),
            Standing::Closed { failures } if pause.is_some() || failures + 1 >= self.threshold => Some(first),
            Standing::Closed { failures } => {
                self.state = Standing::Closed {
                    failures: failures + 1,
                };
                None
            }
            // One that began before the breaker opened says nothing new.
            Standing::Open { .. } | Standing::Probing { .. } => None,
        };
        if let Some(wait) = wait {
            let until = now + pause.unwrap_or(wait);
            self.state = Standing::Open { until, wait };
        }
    }

    /// A message had whatever it needed.
    pub fn available(&mut self, probe: bool) {
        match self.state {
            Standing::Closed { .. } => self.state = Standing::Closed { failures: 0 },
            Standing::Probing { .. } if probe => self.state = Standing::Closed { failures: 0 },
            Standing::Open { .. } | Standing::Probing { .. } => {}
        }
    }

    /// The probe came to no end: the next message probes.
    pub fn probe_lost(&mut self, now: Duration) {
        if let Standing::Probing { wait } = self.state {
            self.state = Standing::Open { until: now, wait };
        }
    }

    /// Opens or closes it whatever happens; `None` lets it decide again, from closed.
    pub fn force(&mut self, open: Option<bool>) {
        self.forced = open;
        self.state = Standing::Closed { failures: 0 };
    }

    /// As it is shown.
    pub fn state(&self) -> CircuitState {
        match (self.forced, self.state) {
            (Some(true), _) | (None, Standing::Open { .. }) => CircuitState::Open,
            (Some(false), _) | (None, Standing::Closed { .. }) => CircuitState::Closed,
            (None, Standing::Probing { .. }) => CircuitState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn circuit() -> Circuit {
        Circuit::new(1, SECOND, SECOND * 4)
    }

    #[test]
    fn it_opens_at_once_and_one_probe_closes_it() {
        let mut circuit = circuit();
        assert_eq!(circuit.admit(SECOND), Admission::Admitted);
        circuit.unavailable(SECOND, false, None);
        assert_eq!(circuit.admit(SECOND), Admission::NotBefore(SECOND * 2));
        assert_eq!(circuit.admit(SECOND * 2), Admission::Probe);
        assert_eq!(
            circuit.admit(SECOND * 2),
            Admission::NotYet,
            "one probe at a time"
        );
        circuit.available(false);
        assert_eq!(
            circuit.state(),
            CircuitState::HalfOpen,
            "one that began before says nothing"
        );
        circuit.available(true);
        assert_eq!(circuit.admit(SECOND * 2), Admission::Admitted);
    }

    #[test]
    fn the_wait_doubles_while_probes_fail() {
        let mut circuit = circuit();
        circuit.unavailable(Duration::ZERO, false, None);
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..4 {
            let Admission::NotBefore(until) = circuit.admit(now) else {
                panic!("open")
            };
            waits.push(until.saturating_sub(now).as_secs());
            now = until;
            assert_eq!(circuit.admit(now), Admission::Probe);
            circuit.unavailable(now, true, None);
        }
        assert_eq!(waits, [1, 2, 4, 4]);
    }

    #[test]
    fn a_threshold_counts_in_a_row_and_a_pause_needs_none() {
        let mut circuit = Circuit::new(3, SECOND, SECOND);
        circuit.unavailable(SECOND, false, None);
        circuit.unavailable(SECOND, false, None);
        circuit.available(false);
        circuit.unavailable(SECOND, false, None);
        circuit.unavailable(SECOND, false, None);
        assert_eq!(circuit.state(), CircuitState::Closed);
        circuit.unavailable(SECOND, false, Some(SECOND * 60));
        assert_eq!(circuit.admit(SECOND * 60), Admission::NotBefore(SECOND * 61));
    }

    #[test]
    fn by_hand_it_stays_until_it_is_let_go() {
        let mut circuit = circuit();
        circuit.force(Some(true));
        assert_eq!(circuit.admit(SECOND * 1000), Admission::NotYet);
        circuit.force(Some(false));
        circuit.unavailable(SECOND, false, None);
        assert_eq!(circuit.admit(SECOND), Admission::Admitted);
        circuit.force(None);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    proptest! {
        /// Whatever comes, an open breaker admits nothing and there is at most one probe.
        #[test]
        fn never_two_probes(steps in prop::collection::vec((0..5u8, 0..3000u64), 1..200)) {
            let mut circuit = circuit();
            let mut now = Duration::ZERO;
            let mut probing = false;
            for (step, millis) in steps {
                now += Duration::from_millis(millis);
                match step {
                    0 | 1 => match circuit.admit(now) {
                        Admission::Probe => { prop_assert!(!probing); probing = true; }
                        Admission::Admitted => prop_assert!(!probing),
                        Admission::NotBefore(until) => prop_assert!(until > now),
                        Admission::NotYet => prop_assert!(probing),
                    },
                    2 => { circuit.unavailable(now, probing, None); probing = false; }
                    3 => { circuit.available(probing); probing = false; }
                    _ => if probing { circuit.probe_lost(now); probing = false; },
                }
            }
        }
    }
}
