//! One handler hears whatever a wildcard matches, of types that it does not know: for audits, bridges, archives.
//!
//! ```text
//! $ cargo run --example wildcard
//! orders.checkout.order.placed of 7: {"order":7,"total":42}
//! orders.shipping.parcel.booked of 7: {"order":7}
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::Notify;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order)]
struct Placed {
    order: u64,
    total: u64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.shipping.parcel.booked", key = order)]
struct Booked {
    order: u64,
}

async fn record(State(recorded): State<Arc<Notify>>, Event(any): Event<Any>) {
    println!("{} of {}: {}", any.name, any.key.unwrap_or_default(), any.data);
    recorded.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;

    let shop = Service::new("shop", "1.0.0")
        .context(Context::new("orders.checkout"))
        .context(Context::new("orders.shipping"))
        .publishes::<Placed>()
        .publishes::<Booked>();
    let shop = shop.start(nats.clone()).await?;

    let recorded = Arc::new(Notify::new());
    let audit = Service::new("audit", "1.0.0").state(recorded.clone());
    let audit = audit.on(durable("record", record).filter("orders.>")); // the streams of both contexts
    let _audit = audit.start(nats).await?;

    let (order, total) = (7, 42);
    shop.bus().publish(&Placed { order, total }).await?;
    recorded.notified().await;
    shop.bus().publish(&Booked { order }).await?;
    recorded.notified().await;
    Ok(())
}
