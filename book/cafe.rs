//! The service of the book's first pages; what it prints is compared with them.
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Connect, prelude::*};

/// What happened. It travels as JSON on `cafe.counter.order.placed.<table>`.
#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "cafe.counter.order.placed", key = table)]
struct OrderPlaced {
    table: u32,
    drink: String,
}

/// What somebody asks for, and is answered.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "cafe.counter.order.place", key = table, reply = String)]
struct PlaceOrder {
    table: u32,
    drink: String,
}

/// Answers. What it emits is stored before the answer leaves.
async fn place(placed: Emit<OrderPlaced>, Command(order): Command<PlaceOrder>) -> Result<String, Failure> {
    let PlaceOrder { table, drink } = order;
    if drink == "gin" {
        return Err("there is no licence for it").or_decline("not_sold");
    }
    let answer = format!("one {drink} for table {table}");
    placed.emit(OrderPlaced { table, drink });
    Ok(answer)
}

/// Hears each order at least once, also those that came while it was down.
async fn brew(Event(order): Event<OrderPlaced>) -> Result<(), Failure> {
    let minutes = match order.drink.as_str() {
        "coffee" => Ok(2),
        "tea" => Ok(4),
        drink => Err(format!("no recipe for {drink}")).or_reject(),
    }?;
    println!(
        "table {}: {}, brewed for {minutes} minutes",
        order.table, order.drink
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let nats = Connect::from_env()?.service("cafe").connect().await?; // NATS_URL, or nats://localhost:4222
    Service::new("cafe", "0.1.0")
        .context(Context::new("cafe.counter")) // makes and keeps the stream CAFE__COUNTER
        .command(place)
        .on(durable("brew", brew))
        .run(nats)
        .await?;
    Ok(())
}
