//! A handler of events gives something back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

async fn confirm(Event(order): Event<OrderPlaced>) -> Result<String, Failure> {
    Ok(order.order_id)
}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm));
}
