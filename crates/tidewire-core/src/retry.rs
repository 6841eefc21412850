//! When to try again, and when to stop trying.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How often and after which delays a message that failed is tried again.
///
/// A delay is a floor: jitter only adds to it, so that a thousand messages that failed together do not come back
/// together, and none comes back sooner than it was told. Attempts are runs of the handler, not deliveries of the
/// message: what the server delivered and no handler began costs nothing.
///
/// ```
/// use std::time::Duration;
/// use tidewire_core::Retry;
///
/// let retry = Retry::exponential(Duration::from_secs(1), Duration::from_secs(300)).max_attempts(8);
/// assert_eq!(retry.delay(3, 0.0), Duration::from_secs(4)); // after the third failed run
/// assert!(retry.is_over(8, Duration::ZERO));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[must_use = "give it to `.retry(…)`"]
pub struct Retry {
    backoff: Backoff,
    /// The most that chance adds, as a part of the delay.
    jitter: f64,
    max_attempts: u32,
    /// After this long since the first failure no other attempt is made.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::seconds::optional"
    )]
    max_time: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Backoff {
    Fixed(#[serde(with = "crate::seconds")] Duration),
    Exponential {
        #[serde(with = "crate::seconds")]
        first: Duration,
        #[serde(with = "crate::seconds")]
        longest: Duration,
    },
}

/// The default of `max_attempts`: with the default delays a message is tried for about eighteen minutes, longer than
/// most restarts and shorter than a shift.
const ATTEMPTS: u32 = 12;
const JITTER: f64 = 0.1;

impl Retry {
    /// Waits `first` after the first failed run, twice as long after each one that follows, and never longer than
    /// `longest` (before jitter).
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self::with(Backoff::Exponential { first, longest }, ATTEMPTS)
    }

    /// Waits the same each time (before jitter).
    pub const fn fixed(delay: Duration) -> Self {
        Self::with(Backoff::Fixed(delay), ATTEMPTS)
    }

    /// Tries again at once. Three attempts by default: what fails three times within a millisecond fails a fourth time.
    pub const fn immediate() -> Self {
        Self::with(Backoff::Fixed(Duration::ZERO), 3)
    }

    /// Never tries again: the first failure is the last.
    pub const fn never() -> Self {
        Self::with(Backoff::Fixed(Duration::ZERO), 1)
    }

    const fn with(backoff: Backoff, max_attempts: u32) -> Self {
        Self {
            backoff,
            jitter: JITTER,
            max_attempts,
            max_time: None,
        }
    }

    /// Runs of the handler in all, the first included; 12 by default, at least 1. A count is forgotten a day after it was
    /// written, or later where the delays are longer: a service that is down for a weekend begins anew.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// How long after the first failure another attempt may begin; without limit by default. The time goes on while a
    /// breaker is open or the durable is paused.
    pub const fn max_time(mut self, time: Duration) -> Self {
        self.max_time = Some(time);
        self
    }

    /// The most that chance adds to a delay, as a part of it: 0.1, a tenth, by default; 0 adds nothing.
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = part.max(0.0);
        self
    }

    /// The wait after `runs` failed runs; `random` is from 0 to 1.
    pub fn delay(&self, runs: u32, random: f64) -> Duration {
        let delay = match self.backoff {
            Backoff::Fixed(delay) => delay,
            Backoff::Exponential { first, longest } => {
                let doubled = 2_u32.saturating_pow(runs.saturating_sub(1));
                first.saturating_mul(doubled).min(longest)
            }
        };
        let more = delay.as_secs_f64() * self.jitter * random.clamp(0.0, 1.0);
        delay.saturating_add(Duration::try_from_secs_f64(more).unwrap_or_default())
    }

    /// Whether no other attempt is made after `runs`, the first of which failed `since` ago.
    pub fn is_over(&self, runs: u32, since: Duration) -> bool {
        runs >= self.max_attempts || self.max_time.is_some_and(|most| since >= most)
    }

    /// How long after its first failure a message may be tried again at the most.
    pub fn horizon(&self) -> Duration {
        let all = (1..self.max_attempts.min(10_000)).fold(Duration::ZERO, |sum, runs| {
            sum.saturating_add(self.delay(runs, 1.0))
        });
        self.max_time.map_or(all, |most| most.min(all))
    }

    /// The longest that a message may wait between two attempts.
    pub fn longest_delay(&self) -> Duration {
        self.delay(u32::MAX, 1.0)
    }
}

/// `12 attempts, after 1s doubled up to 300s`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.max_attempts == 1 {
            return f.write_str("1 attempt");
        }
        write!(f, "{} attempts, ", self.max_attempts)?;
        match self.backoff {
            Backoff::Fixed(Duration::ZERO) => f.write_str("at once")?,
            Backoff::Fixed(delay) => write!(f, "after {delay:?}")?,
            Backoff::Exponential { first, longest } => {
                write!(f, "after {first:?} doubled up to {longest:?}")?;
            }
        }
        match self.max_time {
            Some(most) => write!(f, ", for {most:?} at most"),
            None => Ok(()),
        }
    }
}

/// Exponential from one second to five minutes, twelve attempts.
impl Default for Retry {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1), Duration::from_secs(300))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_delays_double_up_to_the_longest() {
        let retry = Retry::exponential(Duration::from_secs(1), Duration::from_secs(300));
        let delays: Vec<_> = (1..=11).map(|runs| retry.delay(runs, 0.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn time_ends_it_as_attempts_do() {
        let retry = Retry::fixed(Duration::from_secs(1)).max_time(Duration::from_secs(60));
        assert!(!retry.is_over(11, Duration::from_secs(59)));
        assert!(retry.is_over(1, Duration::from_secs(60)));
        assert!(retry.is_over(12, Duration::ZERO));
        assert!(Retry::never().is_over(1, Duration::ZERO));
    }

    #[test]
    fn the_horizon_is_the_sum_of_the_delays_or_the_time() {
        let retry = Retry::fixed(Duration::from_secs(60)).jitter(0.0).max_attempts(4);
        assert_eq!(retry.horizon(), Duration::from_secs(180));
        assert_eq!(
            retry.max_time(Duration::from_secs(90)).horizon(),
            Duration::from_secs(90)
        );
    }

    #[test]
    fn chance_adds_up_to_its_part_of_a_delay_and_nothing_to_none() {
        let fixed = Retry::fixed(Duration::from_secs(10)).jitter(0.5);
        let delays = [0.0, 0.5, 1.0].map(|random| fixed.delay(1, random).as_millis());
        assert_eq!(delays, [10_000, 12_500, 15_000]);
        assert_eq!(
            Retry::fixed(Duration::from_secs(10)).delay(1, 1.0),
            Duration::from_secs(11)
        );
        let immediate = Retry::immediate();
        assert_eq!(immediate.delay(1, 1.0), Duration::ZERO);
        assert!(!immediate.is_over(2, Duration::MAX) && immediate.is_over(3, Duration::ZERO));
    }

    proptest! {
        #[test]
        fn a_delay_is_a_floor(runs in 0..u32::MAX, random in -1.0..2.0f64, jitter in 0.0..2.0f64) {
            let retry = Retry::default().jitter(jitter);
            let floor = Retry::default().jitter(0.0).delay(runs, 0.0);
            prop_assert!(retry.delay(runs, random) >= floor);
            prop_assert!(retry.delay(runs, random) <= floor.mul_f64(1.0 + jitter) + Duration::from_nanos(1));
            prop_assert!(retry.delay(runs.saturating_add(1), 0.0) >= floor);
        }
    }
}
