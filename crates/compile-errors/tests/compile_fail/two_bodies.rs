//! A handler takes the message twice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

async fn confirm(Event(_order): Event<OrderPlaced>, Event(_again): Event<OrderPlaced>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm));
}
