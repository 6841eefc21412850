//! Version 2 is missing between 1 and 3.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed")]
struct PlacedV1;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 3, from = PlacedV1)]
struct Placed;

impl From<PlacedV1> for Placed {
    fn from(_: PlacedV1) -> Self {
        Self
    }
}

fn main() {}
