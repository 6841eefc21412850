//! A handler without `async`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

fn confirm(Event(_order): Event<OrderPlaced>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm));
}
