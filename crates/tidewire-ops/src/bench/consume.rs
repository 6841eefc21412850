//! A durable handler of what is stored already.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tidewire::{
    BoxError, Connection, Context, Failure, State, TraceContext, durable, extract::Event,
    wire::EXPECTED_STREAM,
};
use tokio::time::sleep;

use super::{
    BenchError, Measured, Placed, SERVICE, STREAM, Telemetry, Workload, live::written, place::AT_ONCE,
    progress::Progress, service,
};

/// How long the server may take to count the last acks.
const ACKED_WITHIN: Duration = Duration::from_secs(10);

/// One trace in so many is sampled, as by a sampler at the edge that takes one in a hundred.
const SAMPLED_EACH: u64 = 100;

/// Stores what the handlers read, as a service does it that exports its traces: each event in a trace of its own.
pub(super) async fn store(nats: &Connection, workload: Workload, messages: u64) -> Result<(), BenchError> {
    let js = nats.jetstream();
    let store = async |index: u64| -> Result<(), BoxError> {
        let (subject, mut headers, body) = written(&Placed::number(index), trace(index))?;
        headers.append(EXPECTED_STREAM, STREAM);
        js.publish_with_headers(subject, headers, body).await?.await?;
        Ok(())
    };
    stream::iter(0..messages)
        .map(store)
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |()| Ok(()))
        .await
        .map_err(|error| workload.failed("store its events", error))
}

fn trace(index: u64) -> TraceContext {
    let (id, sampled) = (index + 1, u8::from(index.is_multiple_of(SAMPLED_EACH)));
    TraceContext {
        parent: Some(format!("00-{id:032x}-{id:016x}-{sampled:02x}")),
        ..TraceContext::default()
    }
}

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
