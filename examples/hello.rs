//! One event is published, and a durable handler hears it.
//!
//! ```text
//! $ cargo run --example hello
//! Hello, world!
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::Notify;

/// What happened. It travels as JSON on `village.people.person.arrived.<name>`.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "village.people.person.arrived", key = name)]
struct Arrived {
    name: String,
}

/// What follows. The arguments say what the handler needs, and the last of them which event it hears.
async fn greet(State(greeted): State<Arc<Notify>>, Event(person): Event<Arrived>) {
    println!("Hello, {}!", person.name);
    greeted.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?; // yours runs elsewhere; this one is gone when the example is
    let nats = tidewire::connect(server.url()).await?;

    let greeted = Arc::new(Notify::new());
    let service = Service::new("greeter", "1.0.0")
        .context(Context::new("village.people")) // keeps a stream of these events
        .publishes::<Arrived>() // what the bus below may publish
        .state(greeted.clone())
        .on(durable("greet", greet)) // hears each event at least once, those too that came while it was down
        .start(nats)
        .await?;

    let name = "world".to_owned();
    service.bus().publish(&Arrived { name }).await?;

    greeted.notified().await;
    service.stop().await?; // a service of its own calls `.run(nats)` instead, which returns after SIGTERM
    Ok(())
}
