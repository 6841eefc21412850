//! A handler takes a type that is no event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Serialize, Deserialize, JsonSchema)]
struct OrderPlaced {
    order_id: String,
}

async fn confirm(Event(_order): Event<OrderPlaced>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm));
}
