//! A batch of events in one call, with a result for each: the bad one is a dead letter, and its neighbours go through.
//!
//! ```text
//! $ cargo run --example batch
//! handled together: 10 readings
//! dead letters: 1
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{prelude::*, wire};
use tokio::sync::mpsc::{Sender, channel};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "weather.stations.reading.taken")]
struct ReadingTaken {
    celsius: f64,
}

type Readings = Batch<ReadingTaken>;

async fn store(State(sizes): State<Sender<usize>>, Batch(readings): Readings) -> Vec<Result<(), Failure>> {
    let _ = sizes.send(readings.len()).await;
    let stored = readings.into_iter().map(|reading| match reading.celsius {
        ..-273.15 => Err("colder than cold").or_reject(),
        _ => Ok(()),
    });
    stored.collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;
    let (sender, mut sizes) = channel(100);
    let archive = Service::new("archive", "1.0.0").context(Context::new("weather.stations"));
    let archive = archive.state(sender).publishes::<ReadingTaken>();
    let archive = archive.on_batch(10, Duration::from_secs(5), durable("store", store));
    let running = archive.start(nats.clone()).await?;
    for celsius in [20.0, 21.0, -500.0, 19.0, 18.0, 17.0, 16.0, 15.0, 14.0, 13.0] {
        running.bus().publish(&ReadingTaken { celsius }).await?;
    }
    println!("handled together: {} readings", sizes.recv().await.ok_or("none")?);
    let mut letters = nats.jetstream().get_stream(wire::DLQ_STREAM).await?;
    while letters.info().await?.state.messages == 0 {
        tokio::task::yield_now().await;
    }
    println!("dead letters: {}", letters.cached_info().state.messages);
    Ok(())
}
