//! Whoever sends the old command expects another answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.checkout.order.place", reply = u32)]
struct PlaceV1;

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.checkout.order.place", reply = u64, version = 2, from = PlaceV1)]
struct Place;

impl From<PlaceV1> for Place {
    fn from(_: PlaceV1) -> Self {
        Self
    }
}

fn main() {}
