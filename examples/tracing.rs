//! Traces go to a collector by OTLP: the publisher, the handler and each of its attempts are in one.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says where the collector is. While there is none all works and nothing is exported.
//!
//! ```text
//! $ cargo run --example tracing --features otlp
//! attempt 1, in a span `process`: no van is free
//! attempt 2, in a span `process`: it is shipped
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{prelude::*, telemetry};
use tokio::sync::Notify;
use tracing::{Instrument, Span, info_span};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "shop.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

/// Each attempt has a span; what it logs, calls and sends is in there.
async fn ship(
    State(done): State<Arc<Notify>>,
    Attempt(attempt): Attempt,
    Event(_): Event<OrderPlaced>,
) -> Result<(), Failure> {
    let span = Span::current().metadata().map_or("", |span| span.name());
    if attempt == 1 {
        println!("attempt {attempt}, in a span `{span}`: no van is free");
        return Err("no van is free").or_retry();
    }
    println!("attempt {attempt}, in a span `{span}`: it is shipped");
    done.notify_one();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (traces, _flush) = telemetry::otlp("shop")?; // to the end: it exports what is left
    tracing_subscriber::registry().with(traces).init();
    let (server, done) = (tidewire_server::Server::start()?, Arc::<Notify>::default());
    let shop = Service::new("shop", "1.0.0")
        .context(Context::new("shop.checkout"))
        .publishes::<OrderPlaced>()
        .state(done.clone())
        .on(durable("ship", ship).retry(Retry::immediate()))
        .start(tidewire::connect(server.url()).await?)
        .await?;
    let (bus, order_id) = (shop.bus(), "o-1".into());
    let placed = OrderPlaced { order_id };
    bus.publish(&placed).instrument(info_span!("checkout")).await?; // in a span of an HTTP server, say
    done.notified().await;
    Ok(shop.stop().await?)
}
