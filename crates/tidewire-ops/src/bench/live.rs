//! Events without confirmation, to a live handler.

use bytes::Bytes;
use tidewire::{
    BoxError, Connection, Extras, Format, Kind, Message, MessageId, Outgoing, Stamp, State, TraceContext,
    async_nats::{Client, HeaderMap, HeaderName, HeaderValue},
    extract::Event,
    live,
};

use super::{BenchError, Measured, SERVICE, Shown, Telemetry, Workload, progress::Progress, service};
use crate::api::now;

/// How many may be on their way: the client drops what its subscription has no room for.
const WINDOW: u64 = 16 << 10;

pub(super) async fn handle(State(progress): State<Progress>, Event(shown): Event<Shown>) {
    std::hint::black_box(shown);
    progress.count();
}

pub(super) async fn run(
    nats: &Connection,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    let workload = Workload::Live;
    let progress = Progress::of(messages);
    let running = service(telemetry)
        .state(progress.clone())
        .on(live(handle))
        .start(nats.clone())
        .await
        .map_err(|error| workload.failed("start its service", error))?;
    let client = nats.client();
    // Where nothing comes any more, nothing is sent any more either.
    let ((), measured) =
        tokio::try_join!(publish(&client, messages, &progress), progress.finished(workload))?;
    running
        .stop()
        .await
        .map_err(|error| workload.failed("stop its service", error))?;
    Ok(measured)
}

/// Publishes events that are written already, no faster than they are handled.
///
/// # Errors
/// [`BenchError`] where it cannot be written or sent.
pub async fn publish(client: &Client, messages: u64, progress: &Progress) -> Result<(), BenchError> {
    let failed = |error: BoxError| Workload::Live.failed("publish", error);
    let (subject, headers, body) = written(&Shown::number(0), TraceContext::default())?;
    for sent in 0..messages {
        progress.at_most(sent, WINDOW).await;
        client
            .publish_with_headers(subject.clone(), headers.clone(), body.clone())
            .await
            .map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// An event as a service would write it in this trace.
///
/// # Errors
/// [`BenchError`] where it cannot be written or sent.
pub(super) fn written<M: Message>(
    message: &M,
    trace: TraceContext,
) -> Result<(tidewire::async_nats::Subject, HeaderMap, Bytes), BenchError> {
    let failed = |error: BoxError| Workload::Live.failed("write an event", error);
    let stamp = Stamp {
        id: MessageId::new(Kind::Event, uuid::Uuid::now_v7()),
        timestamp: now(),
        source: SERVICE.into(),
        correlation_id: None,
        causation_id: None,
        trace,
        format: Format::default(),
    };
    let outgoing =
        Outgoing::message(message, stamp, Extras::default()).map_err(|error| failed(error.into()))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &outgoing.headers {
        let name: HeaderName = name.parse().map_err(|_| failed("a header's name".into()))?;
        let value: HeaderValue = value.parse().map_err(|_| failed("a header's value".into()))?;
        headers.append(name, value);
    }
    Ok((outgoing.subject.as_str().into(), headers, outgoing.body))
}
