//! A layer whose service cannot be cloned for each message.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tower::limit::RateLimitLayer;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

async fn confirm(Event(_order): Event<OrderPlaced>) {}

fn main() {
    let limit = RateLimitLayer::new(10, Duration::from_secs(1));
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm).layer(limit));
}
