//! Events stored, 1,024 confirmations awaited at any time.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use tidewire::{Connection, Context, Running, Service};

use super::{BenchError, Measured, Placed, SERVICE, Workload};

/// How many confirmations are awaited at once.
pub const AT_ONCE: usize = 1024;

/// The service that stores the events of the benchmarks.
pub(super) async fn placing(nats: &Connection, workload: Workload) -> Result<Running, BenchError> {
    Service::new(SERVICE, "1.0.0")
        .context(Context::new("tidewire-bench.orders"))
        .publishes::<Placed>()
        .start(nats.clone())
        .await
        .map_err(|error| workload.failed("start its service", error))
}

pub(super) async fn run(nats: &Connection, messages: u64) -> Result<Measured, BenchError> {
    let workload = Workload::Publish;
    let running = placing(nats, workload).await?;
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
