//! The version before is another message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.paid")]
struct PaidV1;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 2, from = PaidV1)]
struct Placed;

impl From<PaidV1> for Placed {
    fn from(_: PaidV1) -> Self {
        Self
    }
}

fn main() {}
