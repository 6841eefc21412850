//! Waiting for a condition, never longer than was promised.

use std::thread;
use std::time::{Duration, Instant};

/// Short enough that a start of 10 ms is not doubled by it.
const STEP: Duration = Duration::from_millis(2);

/// The end of a wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    started: Instant,
    allowed: Duration,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self {
            started: Instant::now(),
            allowed,
        }
    }

    pub(crate) fn seconds(allowed: u64) -> Self {
        Self::after(Duration::from_secs(allowed))
    }

    /// What was allowed in all.
    pub(crate) fn allowed(&self) -> Duration {
        self.allowed
    }

    /// What is left for a question, at least long enough that the last one can be answered.
    pub(crate) fn left(&self) -> Duration {
        self.allowed
            .saturating_sub(self.started.elapsed())
            .max(Duration::from_millis(200))
    }

    /// Waits a moment; false when the time is over. The moments grow with the wait, up to 20 ms.
    pub(crate) fn pause(&self) -> bool {
        let elapsed = self.started.elapsed();
        if elapsed >= self.allowed {
            return false;
        }
        thread::sleep((elapsed / 8).clamp(STEP, STEP * 10));
        true
    }
}
