//! What this process has used so far.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use tidewire::BoxError;

use crate::row::Usage;

pub(crate) fn so_far() -> Result<Usage, BoxError> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "no process runs for 2^53 seconds")]
    let cpu = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("/proc/self/status: {error}; the benchmarks run on Linux"))?;
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    });
    Ok(Usage {
        cpu,
        peak: peak.ok_or("/proc/self/status has no VmHWM")?,
    })
}
