//! Queries and their answers.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use tidewire::{Connection, Running, extract::Query};

use super::{BenchError, Measured, Price, Priced, Telemetry, Workload, service};

/// How many are asked at once.
const AT_ONCE: usize = 64;

async fn price(Query(price): Query<Price>) -> Priced {
    Priced {
        order: price.order,
        amount: 1999,
    }
}

async fn asking(nats: &Connection, workload: Workload, telemetry: Telemetry) -> Result<Running, BenchError> {
    service(telemetry)
        .query(price)
        .asks::<Price>()
        .start(nats.clone())
        .await
        .map_err(|error| workload.failed("start its service", error))
}

async fn ended(running: Running, workload: Workload) -> Result<(), BenchError> {
    let stopped = running.stop().await;
    stopped.map_err(|error| workload.failed("stop its service", error))
}

pub(super) async fn at_once(
    nats: &Connection,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    let workload = Workload::Ask64;
    let running = asking(nats, workload, telemetry).await?;
    let bus = running.bus();
    let began = Instant::now();
    let asked = stream::iter(0..messages).map(|index| {
        let bus = bus.clone();
        async move { bus.ask(&Price::number(index)).await }
    });
    asked
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await
        .map_err(|error| workload.failed("ask", error))?;
    let took = began.elapsed();
    ended(running, workload).await?;
    Ok(Measured::together(messages, took))
}

pub(super) async fn one_by_one(
    nats: &Connection,
    messages: u64,
    telemetry: Telemetry,
) -> Result<Measured, BenchError> {
    let workload = Workload::Ask1;
    let running = asking(nats, workload, telemetry).await?;
    let bus = running.bus();
    let mut micros = Vec::new();
    let began = Instant::now();
    for index in 0..messages {
        let asked = Instant::now();
        let answer = bus.ask(&Price::number(index)).await;
        answer.map_err(|error| workload.failed("ask", error))?;
        micros.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    let took = began.elapsed();
    ended(running, workload).await?;
    Ok(Measured::timed(micros, took))
}
