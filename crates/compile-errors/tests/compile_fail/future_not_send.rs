//! A handler keeps an `Rc` over an `.await`, so its future cannot change threads.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

async fn confirm(Event(order): Event<OrderPlaced>) {
    let order = Rc::new(order);
    tokio::task::yield_now().await;
    drop(order);
}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("confirm", confirm));
}
