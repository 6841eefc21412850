//! A message that was published twice has one effect.
//!
//! ```text
//! $ cargo run --example effectively_once
//! parcel 7 is shipped
//! parcel 8 is shipped
//! the stream has 3 messages
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{extract::IdempotencyKey, prelude::*};
use tokio::sync::mpsc;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = parcel)]
struct PaymentProcessed {
    parcel: u32,
}

/// What it emits goes out once. For what it does elsewhere, such as to book a carrier, there is a key, which is the same
/// whenever this message comes.
async fn ship(
    State(carrier): State<mpsc::Sender<String>>,
    IdempotencyKey(key): IdempotencyKey,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    println!("parcel {} is shipped", paid.parcel);
    Ok(carrier.send(key).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;
    let (carrier, mut booked) = mpsc::channel(8);
    let shop = Service::new("shop", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
        .state(carrier)
        .on(durable("ship", ship).concurrency(1).effectively_once())
        .start(nats.clone())
        .await?;

    shop.bus().publish(&PaymentProcessed { parcel: 7 }).await?;
    let mut stream = nats.jetstream().get_stream("ORDERS__PAYMENTS").await?;
    let first = stream.get_raw_message(1).await?;
    // As a sender does that has lost the confirmation, and comes back after the stream's duplicate window.
    nats.jetstream()
        .publish(first.subject, first.payload)
        .await?
        .await?;
    shop.bus().publish(&PaymentProcessed { parcel: 8 }).await?;
    assert_ne!(booked.recv().await, booked.recv().await);
    println!("the stream has {} messages", stream.info().await?.state.messages);
    Ok(shop.stop().await?)
}
