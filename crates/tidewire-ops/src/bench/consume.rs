//! A durable handler of what is stored already.

use std::time::{Duration, Instant};

use tidewire::{BoxError, Connection, Context, Failure, State, durable, extract::Event};
use tokio::time::sleep;

use super::{
    BenchError, Measured, Placed, SERVICE, STREAM, Telemetry, Workload, progress::Progress, service,
};

/// How long the server may take to count the last acks.
const ACKED_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn handle(
    State(progress): State<Progress>,
    Event(placed): Event<Placed>,
) -> Result<(), Failure> {
    std::hint::black_box(placed);
    progress.count();
    Ok(())
}

pub(super) async fn run(
    nats: &Connection,
    workload: Workload,
    at_once: usize,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    let progress = Progress::of(messages);
    let durable_name = workload.name();
    let running = service(telemetry)
        .context(Context::new("tidewire-bench.orders"))
        .publishes::<Placed>()
        .state(progress.clone())
        .on(durable(durable_name, handle).concurrency(at_once))
        .start(nats.clone())
        .await
        .map_err(|error| workload.failed("start its service", error))?;
    let measured = progress.finished(workload).await?;
    running
        .stop()
        .await
        .map_err(|error| workload.failed("stop its service", error))?;
    forget(nats, workload).await?;
    Ok(measured)
}

/// Removes the consumer, and sees that every message was acked.
pub(super) async fn forget(nats: &Connection, workload: Workload) -> Result<(), BenchError> {
    let failed = |error: BoxError| workload.failed("look at its consumer", error);
    let name = tidewire::wire::consumer_name(SERVICE, workload.name());
    let js = nats.jetstream();
    let stream = js
        .get_stream(STREAM)
        .await
        .map_err(|error| failed(error.into()))?;
    // The server counts acks when it comes to it.
    let deadline = Instant::now() + ACKED_WITHIN;
    loop {
        let info = stream.consumer_info(&name).await;
        let pending = info.map_err(|error| failed(error.into()))?.num_ack_pending;
        if pending == 0 {
            break;
        }
        if Instant::now() > deadline {
            return Err(failed(format!("{pending} messages were not acked").into()));
        }
        sleep(Duration::from_millis(1)).await;
    }
    stream
        .delete_consumer(&name)
        .await
        .map_err(|error| failed(error.into()))?;
    Ok(())
}
