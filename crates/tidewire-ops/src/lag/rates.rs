//! From two looks at a consumer to what came and what went.

use std::time::Duration;

use serde::Serialize;

use crate::consumers::ConsumerState;

/// What happened in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Matching messages that were stored.
    pub(super) come: f64,
    /// Messages that were settled.
    pub(super) gone: f64,
    /// How long that was measured.
    pub(super) over: Duration,
}

/// Whether what waits gets less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Drain {
    /// Nothing waits.
    Empty,
    /// It gets less.
    Draining,
    /// As much comes as goes, or more.
    Never,
    /// The rates are not known, or all that waits is parked.
    Unknown,
}

/// The rates between two looks at one consumer. `None` where they cannot be told: the consumer was made again or reset, no
/// time has passed, or messages were removed that it was not given yet.
///
/// The server does not count what arrives. What was delivered for the first time has left the pending ones, so what came
/// is what was delivered and what is pending more. Nor does it count first deliveries: they are at most the deliveries,
/// and at most the sequences by which it went on. Where both a repeated delivery and a message of another subject fall
/// between the looks, the repeated one may count as one that came and one that went; the difference of the two rates,
/// and so the time to drain, does not change by it.
pub(super) fn rates(before: &ConsumerState, after: &ConsumerState) -> Option<Rates> {
    let over = after.time.since(before.time);
    if after.created != before.created || over.is_zero() {
        return None;
    }
    let deliveries = after.deliveries.checked_sub(before.deliveries)?;
    let sequences = after.delivered.checked_sub(before.delivered)?;
    let delivered = i128::from(deliveries.min(sequences));
    let change = |after: u64, before: u64| i128::from(after) - i128::from(before);
    let come = delivered + change(after.pending, before.pending);
    let gone = delivered - change(after.unacknowledged, before.unacknowledged);
    if come < 0 || gone < 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
    let a_second = |count: i128| count as f64 / over.as_secs_f64();
    Some(Rates {
        come: a_second(come),
        gone: a_second(gone),
        over,
    })
}

impl Drain {
    /// Whether what waits gets less, and when nothing does any more.
    pub(super) fn of(waiting: u64, parked: u64, rates: Option<Rates>) -> (Self, Option<Duration>) {
        match rates {
            _ if waiting == 0 && parked == 0 => (Self::Empty, Some(Duration::ZERO)),
            Some(rates) if waiting > 0 => {
                let less = rates.gone - rates.come;
                if less <= 0.0 {
                    return (Self::Never, None);
                }
                #[expect(clippy::cast_precision_loss, reason = "a time to drain is an estimate")]
                let seconds = waiting as f64 / less;
                // What takes longer than a duration can say is as good as never.
                Duration::try_from_secs_f64(seconds)
                    .map_or((Self::Never, None), |left| (Self::Draining, Some(left)))
            }
            _ => (Self::Unknown, None),
        }
    }
}

#[cfg(test)]
mod tests;
