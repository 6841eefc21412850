//! Events stored, 1,024 confirmations awaited at any time.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use tidewire::{Connection, Context};

use super::{BenchError, Measured, Placed, Telemetry, Workload, service};

/// How many confirmations are awaited at once.
pub const AT_ONCE: usize = 1024;

pub(super) async fn run(
    nats: &Connection,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    let workload = Workload::Publish;
    let running = service(telemetry)
        .context(Context::new("tidewire-bench.orders"))
        .publishes::<Placed>()
        .start(nats.clone())
        .await
        .map_err(|error| workload.failed("start its service", error))?;
    let bus = running.bus();
    let began = Instant::now();
    let publishes = stream::iter(0..messages).map(|index| {
        let bus = bus.clone();
        async move { bus.publish(&Placed::number(index)).await }
    });
    publishes
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await
        .map_err(|error| workload.failed("publish", error))?;
    let took = began.elapsed();
    running
        .stop()
        .await
        .map_err(|error| workload.failed("stop its service", error))?;
    Ok(Measured::together(messages, took))
}
