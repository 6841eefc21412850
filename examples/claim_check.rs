//! Data that is too large for a message goes through the object store, and handlers do not notice.
//!
//! ```text
//! $ cargo run --example claim_check
//! the message has 0 bytes
//! scan 7 has 3145728 bytes
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::mpsc;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "clinic.imaging.scan.taken", key = scan)]
struct ScanTaken {
    scan: u32,
    image: String,
}

/// The data is here, wherever it was: fetched before the handler is called, and compared with its SHA-256.
async fn archive(
    State(done): State<mpsc::Sender<String>>,
    Event(taken): Event<ScanTaken>,
) -> Result<(), Failure> {
    let line = format!("scan {} has {} bytes", taken.scan, taken.image.len());
    Ok(done.send(line).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;
    let (done, mut archived) = mpsc::channel(8);
    let scanner = Service::new("scanner", "1.0.0")
        .context(Context::new("clinic.imaging"))
        .publishes::<ScanTaken>()
        .claim_check_above(512 << 10)
        .start(nats.clone())
        .await?;
    let archive = Service::new("archive", "1.0.0")
        .state(done)
        .on(durable("archive", archive))
        .start(nats.clone())
        .await?;

    let image = "·".repeat(3 << 19);
    scanner.bus().publish(&ScanTaken { scan: 7, image }).await?;
    let stream = nats.jetstream().get_stream("CLINIC__IMAGING").await?;
    let message = stream.get_raw_message(1).await?;
    println!("the message has {} bytes", message.payload.len());
    println!("{}", archived.recv().await.unwrap_or_default());
    archive.stop().await?;
    Ok(scanner.stop().await?)
}
