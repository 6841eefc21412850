//! From the publish of an event to its ack, at 2,000 events a second.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tidewire::{
    BoxError, Connection, Context, TraceContext,
    async_nats::{Client, jetstream},
    durable,
};
use tokio::time::{MissedTickBehavior, interval, timeout, timeout_at};

use super::{
    BenchError, Measured, Placed, SERVICE, STREAM, Telemetry, Workload, consume, live::written,
    progress::Progress, service,
};

/// Two events every millisecond: timers are no finer.
const EACH_TICK: u64 = 2;
const TICK: Duration = Duration::from_millis(1);
/// How long the next ack is awaited.
const NEXT_WITHIN: Duration = Duration::from_secs(20);

pub(super) async fn run(
    nats: &Connection,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    let workload = Workload::Latency;
    let failed = |what, error: BoxError| workload.failed(what, error);
    let progress = Progress::of(messages);
    let running = service(telemetry)
        .context(Context::new("tidewire-bench.orders"))
        .publishes::<Placed>()
        .state(progress.clone())
        .on(durable(workload.name(), consume::handle).start(tidewire::Start::Now))
        .start(nats.clone())
        .await
        .map_err(|error| failed("start its service", error.into()))?;
    let consumer = tidewire::wire::consumer_name(SERVICE, workload.name());
    let measured = observe(&nats.client(), &consumer, messages).await?;
    running
        .stop()
        .await
        .map_err(|error| failed("stop its service", error.into()))?;
    consume::forget(nats, workload).await?;
    Ok(measured)
}

/// Publishes and watches the acks of `consumer`, which reads the stream of the benchmarks from now on: as a third party, so
/// that it is the same whoever acks.
///
/// # Errors
/// [`BenchError`] where an ack stays away.
pub async fn observe(client: &Client, consumer: &str, messages: u64) -> Result<Measured, BenchError> {
    let failed = |what, error: BoxError| Workload::Latency.failed(what, error);
    let js = jetstream::new(client.clone());
    let stream = js
        .get_stream(STREAM)
        .await
        .map_err(|error| failed("look at its stream", error.into()))?;
    let first = stream.cached_info().state.last_sequence + 1;
    let acks = client.subscribe(format!("$JS.ACK.{STREAM}.{consumer}.>"));
    let mut acks = timeout(NEXT_WITHIN, acks)
        .await
        .map_err(|elapsed| failed("hear acks", elapsed.into()))?
        .map_err(|error| failed("hear acks", error.into()))?;
    let mut sent = Vec::new();
    let mut micros = Vec::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let mut next = began + NEXT_WITHIN;
    while (micros.len() as u64) < messages {
        let unfinished = |seen| BenchError::Unfinished {
            workload: Workload::Latency,
            seen,
            expected: messages,
            within: NEXT_WITHIN,
        };
        tokio::select! {
            biased;
            ack = timeout_at(next.into(), acks.next()) => {
                let Ok(Some(ack)) = ack else {
                    return Err(unfinished(micros.len() as u64));
                };
                next = Instant::now() + NEXT_WITHIN;
                let sequence: u64 = ack.subject.split('.').nth(5).and_then(|token| token.parse().ok()).unwrap_or(0);
                let index = usize::try_from(sequence.saturating_sub(first)).unwrap_or(usize::MAX);
                let since: Option<&Instant> = sent.get(index);
                micros.extend(since.map(|since| since.elapsed().as_secs_f64() * 1e6));
            }
            _ = tick.tick(), if (sent.len() as u64) < messages => {
                for _ in 0..EACH_TICK {
                    let (subject, headers, body) = written(&Placed::number(sent.len() as u64), TraceContext::default())?;
                    sent.push(Instant::now());
                    timeout_at(next.into(), client.publish_with_headers(subject, headers, body))
                        .await
                        .map_err(|_| unfinished(micros.len() as u64))?
                        .map_err(|error| failed("publish", error.into()))?;
                }
            }
        }
    }
    Ok(Measured::timed(micros, began.elapsed()))
}
