//! The wire is plain NATS: a client without Tidewire publishes JSON to a typed handler, and reads what that emits.
//!
//! ```text
//! $ cargo run --example raw_async_nats
//! to process: Process { payment_id: "p-42", amount: 1999 }
//! on orders.payments.payment.processed.p-42: {"payment_id":"p-42"}, caused by evt_123
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{async_nats, prelude::*};

#[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.process")]
struct Process {
    payment_id: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id)]
struct Processed {
    payment_id: String,
}

async fn process(processed: Emit<Processed>, Event(payment): Event<Process>) {
    println!("to process: {payment:?}");
    processed.emit(Processed {
        payment_id: payment.payment_id,
    });
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let service = Service::new("payments", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<Process>()
        .on(durable("process", process))
        .start(tidewire::connect(server.url()).await?)
        .await?;

    let plain = async_nats::connect(server.url()).await?;
    let mut heard = plain.subscribe("orders.payments.payment.processed.*").await?;
    let body = r#"{"type":"event","id":"evt_123","timestamp":"2024-03-20T10:00:00Z",
                   "data":{"payment_id":"p-42","amount":1999},"metadata":{}}"#;
    plain.publish("orders.payments.process", body.into()).await?;

    let message = heard.next().await.ok_or("the subscription ended")?;
    let json: serde_json::Value = serde_json::from_slice(&message.payload)?;
    let cause = json["metadata"]["causation_id"].as_str().unwrap_or("nobody");
    println!("on {}: {}, caused by {cause}", message.subject, json["data"]);
    service.stop().await?;
    Ok(())
}
