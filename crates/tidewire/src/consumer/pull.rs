//! How much to ask a consumer for, and when.

use std::time::Duration;

use serde_json::json;

use super::ordered::{Admission, GROUP};

/// A request lives this long on the server.
pub(super) const EXPIRES: Duration = Duration::from_secs(30);
/// An idle server gives a sign of life this often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Two signs of life were missed.
pub(super) const SILENCE: Duration = Duration::from_millis(10_500);
/// What the server says of a request whose bytes do not suffice for the next message.
pub(super) const TOO_LARGE: &str = "Message Size Exceeds MaxBytes";
/// The most messages in hand, those included that wait for a place; more only where more than half as many run at once.
const MOST: usize = 2048;

/// Decides how many messages to ask for: enough to keep the handlers busy, no more than can be begun soon, and never
/// more bytes than the budget.
#[derive(Debug)]
pub(super) struct Demand {
    concurrency: usize,
    /// Bytes in hand and asked for, at the most.
    budget: usize,
    /// The largest message that the server can send.
    largest: usize,
    /// In how long everything in hand should have begun.
    soon: Duration,
    /// Asked for and neither come nor refused.
    asked: usize,
    asked_bytes: usize,
}

/// One request to the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pull {
    pub(super) batch: usize,
    pub(super) max_bytes: usize,
}

impl Pull {
    /// The request as the server reads it; `pinned_for` and `admission` are of a consumer that is ordered by key.
    pub(super) fn request(self, pinned_for: Option<Duration>, admission: Option<&Admission>) -> String {
        let (expires, heartbeat) = match pinned_for {
            // Half of the lease: a pull of one that stands still has ended before another one takes over, or it would be
            // served first.
            Some(pinned_for) => (pinned_for / 6, pinned_for / 18),
            None => (EXPIRES, HEARTBEAT),
        };
        let mut request = json!({
            "batch": self.batch,
            "max_bytes": self.max_bytes,
            "expires": expires.as_nanos(),
            "idle_heartbeat": heartbeat.as_nanos(),
        });
        if let Some(admission) = admission {
            request["group"] = GROUP.into();
            if let Some(pin) = &admission.pin {
                request["id"] = pin.as_str().into();
            }
        }
        request.to_string()
    }
}

impl Demand {
    pub(super) fn new(concurrency: usize, budget: usize, largest: usize, ack_wait: Duration) -> Self {
        // Less than two of the largest and the largest would never be asked for.
        Self {
            concurrency,
            budget: budget.max(2 * largest),
            largest,
            soon: ack_wait / 3,
            asked: 0,
            asked_bytes: 0,
        }
    }

    /// What to ask for now, with `held` messages of `held_bytes` in hand and handlers that took `typical` lately.
    pub(super) fn next(&mut self, held: usize, held_bytes: usize, typical: Duration) -> Option<Pull> {
        let most = self.most(typical);
        let batch = most.checked_sub(held + self.asked)?;
        let max_bytes = self.budget.checked_sub(held_bytes + self.asked_bytes)?;
        // Ask again when half is used up: not for every message, and before the last one.
        if batch < most.div_ceil(2) || max_bytes < self.largest {
            return None;
        }
        let max_bytes = max_bytes.min((self.budget / 2).max(self.largest));
        self.asked += batch;
        self.asked_bytes += max_bytes;
        Some(Pull { batch, max_bytes })
    }

    /// A single message, where none was asked for.
    pub(super) fn one(&mut self) -> Option<Pull> {
        if self.asked > 0 {
            return None;
        }
        self.asked = 1;
        self.asked_bytes = self.largest;
        Some(Pull {
            batch: 1,
            max_bytes: self.largest,
        })
    }

    /// A message came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.asked = self.asked.saturating_sub(1);
        self.asked_bytes = if self.asked == 0 {
            0
        } else {
            self.asked_bytes.saturating_sub(bytes)
        };
    }

    /// A request ended with this much of it unanswered.
    pub(super) fn ended(&mut self, messages: usize, bytes: usize) {
        self.asked = self.asked.saturating_sub(messages);
        self.asked_bytes = if self.asked == 0 {
            0
        } else {
            self.asked_bytes.saturating_sub(bytes)
        };
    }

    /// A request ended with `bytes` unanswered, because the next message is larger than that. One that is larger than all
    /// that may be asked for was stored under another limit of the server, and would never come.
    pub(super) fn grow(&mut self, bytes: usize) {
        if bytes >= self.largest {
            self.largest = bytes * 2;
            self.budget = self.budget.max(2 * self.largest);
        }
    }

    /// How many messages may still come.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// Every request is void: the connection, the consumer or its leader changed.
    pub(super) fn reset(&mut self) {
        self.asked = 0;
        self.asked_bytes = 0;
    }

    /// As many as can be begun within a third of the ack wait, and at least twice as many as run at once.
    fn most(&self, typical: Duration) -> usize {
        let floor = self.concurrency.saturating_mul(2);
        let soon = self.soon.as_nanos() / typical.as_nanos().max(1);
        let soon = usize::try_from(soon)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.concurrency);
        soon.min(MOST).max(floor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_secs(60);
    const WAIT: Duration = Duration::from_secs(30);

    #[test]
    fn slow_handlers_hold_little() {
        let mut demand = Demand::new(4, 1 << 24, 1 << 20, WAIT);
        assert_eq!(demand.next(0, 0, SLOW).map(|pull| pull.batch), Some(8));
        assert_eq!(demand.next(0, 0, SLOW), None);
    }

    #[test]
    fn fast_handlers_hold_much_and_ask_before_the_last() {
        let mut demand = Demand::new(64, 1 << 24, 1 << 20, WAIT);
        assert_eq!(demand.next(0, 0, MS).map(|pull| pull.batch), Some(MOST));
        (0..MOST / 2).for_each(|_| demand.came(300));
        assert_eq!(demand.next(0, 0, MS).map(|pull| pull.batch), Some(MOST / 2));
    }

    #[test]
    fn one_message_of_the_largest_size_always_fits() {
        let mut demand = Demand::new(1, 10, 1 << 20, WAIT);
        assert!(
            demand
                .next(0, 0, MS)
                .is_some_and(|pull| pull.max_bytes >= 1 << 20)
        );
    }

    #[test]
    fn a_message_that_is_larger_than_the_limit_was_is_asked_for_in_the_end() {
        let mut demand = Demand::new(1, 10, 1 << 20, WAIT);
        let mut asked = Vec::new();
        while asked.last().is_none_or(|bytes| *bytes < 20 << 20) && asked.len() < 10 {
            let pull = demand.next(0, 0, MS).unwrap();
            demand.ended(pull.batch, pull.max_bytes);
            demand.grow(pull.max_bytes);
            asked.push(pull.max_bytes);
        }
        assert_eq!(asked, [1, 2, 4, 8, 16, 32].map(|mib| mib << 20));
        // What is left of a request that has brought something says nothing.
        demand.grow(1 << 20);
        assert_eq!(demand.next(0, 0, MS).unwrap().max_bytes, 64 << 20);
    }

    proptest! {
        #[test]
        fn count_and_bytes_stay_within_their_limits(
            steps in prop::collection::vec((0..3u8, 1..200_000usize), 1..300),
        ) {
            let (budget, largest) = (1 << 20, 200_000);
            let mut demand = Demand::new(8, budget, largest, WAIT);
            let (mut held, mut held_bytes) = (0, 0);
            let mut sizes = Vec::new();
            for (step, size) in steps {
                match step {
                    0 => drop(demand.next(held, held_bytes, MS)),
                    1 if demand.asked > 0 && demand.asked_bytes >= size => {
                        demand.came(size);
                        held += 1;
                        held_bytes += size;
                        sizes.push(size);
                    }
                    _ => if let Some(size) = sizes.pop() {
                        held -= 1;
                        held_bytes -= size;
                    },
                }
                prop_assert!(held + demand.asked <= MOST);
                prop_assert!(held_bytes + demand.asked_bytes <= budget);
            }
        }
    }
}
