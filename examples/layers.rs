//! A layer sees each message on its way into a handler and out of it. Here one is our own and one is tower's.
//!
//! ```text
//! $ cargo run --example layers
//! into billing__orders.payments.payment.process
//! out of it: done
//! into billing__orders.payments.payment.process
//! out of it: request timed out
//! the caller hears `failed`
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::layer::{Delivery, Handled, Inner, Service as _, Unhandled, layer_fn};
use tidewire::{layered, prelude::*};
use tower::{service_fn, timeout::TimeoutLayer};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process")]
struct Pay {
    seconds: u64,
}

async fn pay(Command(pay): Command<Pay>) {
    tokio::time::sleep(Duration::from_secs(pay.seconds)).await;
}

/// Goes around every handler. What it gives back is the handler's and cannot be made up.
async fn trace(mut handler: Inner, delivery: Delivery) -> Result<Handled, Unhandled> {
    println!("into {}", delivery.handler());
    let passed = handler.call(delivery).await;
    match &passed {
        Ok(_) => println!("out of it: done"),
        Err(error) => println!("out of it: {error}"),
    }
    passed
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let service = Service::new("billing", "1.0.0")
        .asks::<Pay>()
        .command(layered(pay, TimeoutLayer::new(Duration::from_millis(200))))
        .layer(layer_fn(|inner: Inner| {
            service_fn(move |delivery| trace(inner.clone(), delivery))
        }));
    let running = service.start(tidewire::connect(server.url()).await?).await?;
    running.bus().ask(&Pay { seconds: 0 }).await?;
    if let Err(error) = running.bus().ask(&Pay { seconds: 60 }).await {
        println!("the caller hears `{}`", error.code().unwrap_or("nothing"));
    }
    Ok(())
}
