//! An argument that the framework does not know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

#[derive(Clone)]
struct Mailer;

async fn confirm(_mailer: Mailer, Event(_order): Event<OrderPlaced>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm));
}
