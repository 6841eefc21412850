//! What a process has used of its machine.

use serde::{Deserialize, Serialize};

/// What a process has used beside time. Linux tells, and it is not asked for elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the processors, in seconds.
    pub cpu: f64,
    /// The most memory that it had at once, in KiB.
    pub peak: u64,
}

impl Usage {
    /// Of this process from its first instruction on.
    #[cfg(target_os = "linux")]
    pub fn so_far() -> Option<Self> {
        use rustix::time::{ClockId, clock_gettime};

        let time = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "no process runs for 2^53 seconds")]
        let cpu = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let peak = status.lines().find_map(|line| {
            let size = line.strip_prefix("VmHWM:")?.trim();
            size.strip_suffix(" kB")?.parse().ok()
        })?;
        Some(Self { cpu, peak })
    }

    /// Of this process from its first instruction on.
    #[cfg(not(target_os = "linux"))]
    pub fn so_far() -> Option<Self> {
        None
    }

    /// Lets the peak of this process begin anew, with what it has now. Where the system does not do that, the peak stays
    /// the one so far.
    pub fn forget_peak() {
        #[cfg(target_os = "linux")]
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }

    /// What was used since `before`; the peak is not a sum, and stays.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            ..self
        }
    }

    /// Seconds of the processors for a million messages.
    pub fn cpu_for_a_million(&self, messages: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 messages")]
        let messages = messages.max(1) as f64;
        self.cpu * 1e6 / messages
    }

    /// The peak in millions of bytes.
    pub fn peak_megabytes(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no process has 2^53 KiB")]
        let kib = self.peak as f64;
        kib * 1024.0 / 1e6
    }
}
