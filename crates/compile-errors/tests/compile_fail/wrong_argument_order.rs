//! The message stands before an extractor.

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

async fn confirm(Event(_order): Event<OrderPlaced>, State(_mailer): State<Mailer>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0")
        .state(Mailer)
        .on(durable("confirm", confirm));
}
