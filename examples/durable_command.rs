//! A durable command waits in the queue of the service that works it, also while that service is down.
//!
//! ```text
//! $ cargo run --example durable_command
//! nobody is in the kitchen; stored as 1 in KITCHEN__ORDERS__QUEUE
//! cooked: soup
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::Notify;

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "kitchen.orders.dish.cook", key = table)]
struct CookDish {
    table: u32,
    dish: String,
}

/// Nobody waits for an answer: a dish that fails is tried again.
async fn cook(State(cooked): State<Arc<Notify>>, Command(order): Command<CookDish>) -> Result<(), Failure> {
    println!("cooked: {}", order.dish);
    cooked.notify_one();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;

    let cooked = Arc::new(Notify::new());
    let kitchen = || {
        Service::new("kitchen", "1.0.0")
            .context(Context::new("kitchen.orders")) // whoever works a command keeps its queue
            .state(cooked.clone())
            .on(durable("cook", cook))
    };
    kitchen().start(nats.clone()).await?.stop().await?; // it was there once: the queue is made

    let waiter = Service::new("waiter", "1.0.0").sends::<CookDish>(); // in a handler: `Dispatch<CookDish>`
    let waiter = waiter.start(nats.clone()).await?;
    let dish = "soup".to_owned();
    let stored = waiter.bus().send(&CookDish { table: 7, dish }).await?;
    println!(
        "nobody is in the kitchen; stored as {} in {}",
        stored.sequence, stored.stream
    );

    let kitchen = kitchen().start(nats).await?;
    cooked.notified().await;
    kitchen.stop().await?;
    Ok(())
}
