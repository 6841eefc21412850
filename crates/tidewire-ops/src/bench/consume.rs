//! A durable handler of what is stored already.

use tidewire::{BoxError, Connection, Context, Failure, Service, State, durable, extract::Event};

use super::{BenchError, Measured, Placed, SERVICE, STREAM, Workload, progress::Progress};

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
) -> Result<Measured, BenchError> {
    let progress = Progress::of(messages);
    let durable_name = workload.name();
    let running = Service::new(SERVICE, "1.0.0")
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
    let info = stream
        .consumer_info(&name)
        .await
        .map_err(|error| failed(error.into()))?;
    if info.num_ack_pending > 0 {
        return Err(failed(
            format!("{} messages were not acked", info.num_ack_pending).into(),
        ));
    }
    stream
        .delete_consumer(&name)
        .await
        .map_err(|error| failed(error.into()))?;
    Ok(())
}
