//! Nothing makes the new version of the old one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed")]
struct PlacedV1;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 2, from = PlacedV1)]
struct Placed;

fn main() {}
