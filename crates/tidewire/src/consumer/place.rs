//! Where a durable stands that is not to begin at what its stream has had before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidewire_core::Timestamp;

/// How far a consumer was settled when it was last looked at. Made again as declared, a durable with `Start::Now` would skip what
/// was stored since somebody deleted its consumer, and what nobody had settled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(Arc<Mutex<Option<Known>>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    /// When the stream was made: one that was deleted and made again counts anew.
    stream: Timestamp,
    /// The ack floor.
    settled: u64,
}

impl Place {
    /// The consumer was there, on the stream that was made then.
    pub(crate) fn note(&self, stream: Timestamp, settled: u64) {
        *self.lock() = Some(Known { stream, settled });
    }

    /// It is still there, and has come as far as this.
    pub(crate) fn moved(&self, settled: u64) {
        if let Some(known) = &mut *self.lock() {
            known.settled = settled;
        }
    }

    /// Where it goes on, on the stream that was made then; `None` if it was never seen. All that another stream has is later
    /// than what was seen.
    pub(crate) fn next(&self, stream: Timestamp) -> Option<u64> {
        let known = *self.lock();
        known.map(|known| {
            if known.stream == stream {
                known.settled + 1
            } else {
                1
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
