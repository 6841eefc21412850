//! Two variants of a set hold one event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

#[derive(EventSet)]
enum News {
    Placed(OrderPlaced),
    Confirmed(OrderPlaced),
}

fn main() {}
