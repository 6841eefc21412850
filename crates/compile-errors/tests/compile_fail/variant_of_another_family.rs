//! A family has an event that does not say so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(EventFamily)]
#[family(entity = "orders.checkout.order")]
enum OrderEvent {
    Placed(OrderPlaced),
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

fn main() {}
