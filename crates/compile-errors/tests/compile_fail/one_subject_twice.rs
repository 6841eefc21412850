//! Two events of a set have one subject: the second would never be heard.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed")]
struct OrderPlaced;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 2)]
struct OrderPlacedToo;

#[derive(EventSet)]
enum News {
    Placed(OrderPlaced),
    PlacedToo(OrderPlacedToo),
}

fn main() {}
