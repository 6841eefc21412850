//! A live handler hears what is published now: every instance hears all of it, and nothing is kept for later.
//!
//! ```text
//! $ cargo run --example live
//! the screen in the hall shows 18 °C
//! the screen in the office shows 18 °C
//! the screen in the hall shows 21 °C
//! the screen in the office shows 21 °C
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connection, Running, StartError, prelude::*};
use tokio::sync::mpsc::{self, Receiver, Sender};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "weather.stations.temperature.measured")]
struct Measured {
    celsius: i32,
}

/// For displays and caches. Work that must not be lost is for a `durable` handler.
async fn show(State(screen): State<Sender<i32>>, Event(measured): Event<Measured>) -> Result<(), Failure> {
    screen.send(measured.celsius).await?;
    Ok(())
}

/// One instance of the service `screen`.
async fn screen(nats: &Connection) -> Result<(Running, Receiver<i32>), StartError> {
    let (sender, shown) = mpsc::channel(8);
    let service = Service::new("screen", "1.0.0").state(sender).on(live(show));
    Ok((service.start(nats.clone()).await?, shown))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;

    let (_hall, mut hall) = screen(&nats).await?;
    let (_office, mut office) = screen(&nats).await?;
    let station = Service::new("station", "1.0.0")
        .context(Context::new("weather.stations"))
        .publishes::<Measured>()
        .start(nats)
        .await?;

    for celsius in [18, 21] {
        station.bus().publish(&Measured { celsius }).await?;
        for (room, screen) in [("hall", &mut hall), ("office", &mut office)] {
            let shown = screen.recv().await.ok_or("the screen is gone")?;
            println!("the screen in the {room} shows {shown} °C");
        }
    }
    Ok(())
}
