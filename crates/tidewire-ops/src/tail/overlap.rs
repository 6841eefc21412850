//! Messages that come twice: stored and read, and live too.

use std::collections::{HashMap, VecDeque};

use futures_util::{FutureExt, StreamExt};
use tidewire::async_nats::Subscriber;

use super::Seen;

/// What was stored after the subscription began and may have come live as well.
///
/// It is compared by content: a live message does not say where it was stored.
#[derive(Debug, Default)]
pub(super) struct Overlap {
    stored: HashMap<Vec<u8>, usize>,
    /// Live messages that came while the streams were read, without those that were shown.
    waiting: VecDeque<Seen>,
}

impl Overlap {
    pub(super) fn stored(&mut self, seen: &Seen) {
        *self.stored.entry(seen.fingerprint()).or_default() += 1;
    }

    /// Takes what waits in `live` and drops what was shown already; whatever comes later is new.
    pub(super) fn ends_after(&mut self, live: &mut Subscriber) {
        while let Some(Some(message)) = live.next().now_or_never() {
            let seen = Seen::live(message);
            match self.stored.get_mut(&seen.fingerprint()) {
                Some(count) if *count > 0 => *count -= 1,
                _ => self.waiting.push_back(seen),
            }
        }
        self.stored.clear();
    }

    pub(super) fn next(&mut self) -> Option<Seen> {
        self.waiting.pop_front()
    }
}
