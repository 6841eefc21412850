//! The recorder behind `/metrics`: one for the process, because the facade has one.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{CRITICAL_TIME, PROCESS_DURATION};
use crate::start_error::StartError;

/// How long a handler takes, in seconds.
const DURATIONS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// How long a message waits and is tried, in seconds: retries take minutes.
const TIMES: [f64; 14] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 1800.0,
];
/// Between two looks at what was measured: until then each measurement takes sixteen bytes.
const UPKEEP: Duration = Duration::from_secs(1);

const OTHER_RECORDER: &str = "the process has another one";

/// The recorder that this process has from Tidewire.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The recorder of the process, which is installed now unless it was before; services of one process share it.
pub(crate) fn installed() -> Result<PrometheusHandle, StartError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let builder = PrometheusBuilder::new()
        // Without buckets a histogram is rendered as a summary, which cannot be added up over instances.
        .set_buckets(&DURATIONS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Full(PROCESS_DURATION.into()), &DURATIONS)
        })
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(CRITICAL_TIME.into()), &TIMES))
        .map_err(|error| StartError::Recorder(error.into()))?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| StartError::Recorder(OTHER_RECORDER.into()))?;
    *installed = Some(handle.clone());
    let upkeep = handle.clone();
    // A thread and no task: it outlives the runtime of the service that came first.
    let thread = thread::Builder::new().name("tidewire-metrics".into());
    let spawned = thread.spawn(move || {
        loop {
            thread::sleep(UPKEEP);
            upkeep.run_upkeep();
        }
    });
    spawned.map_err(StartError::Threads)?;
    Ok(handle)
}
