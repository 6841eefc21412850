//! The version before has no key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed")]
struct PlacedV1;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id, version = 2, from = PlacedV1)]
struct Placed {
    order_id: u64,
}

impl From<PlacedV1> for Placed {
    fn from(_: PlacedV1) -> Self {
        Self { order_id: 0 }
    }
}

fn main() {}
