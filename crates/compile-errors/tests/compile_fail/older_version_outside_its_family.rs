//! The version before is in no family, so that it could be emitted past the event store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct PlacedV1 {
    order_id: u64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id, version = 2, family = OrderEvent, from = PlacedV1)]
struct Placed {
    order_id: u64,
}

impl From<PlacedV1> for Placed {
    fn from(old: PlacedV1) -> Self {
        Self { order_id: old.order_id }
    }
}

#[derive(EventFamily)]
#[family(entity = "orders.checkout.order")]
enum OrderEvent {
    Placed(Placed),
}

fn main() {}
