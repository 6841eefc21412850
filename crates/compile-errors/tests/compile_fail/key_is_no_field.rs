//! The key names a field that is not there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = ordr_id)]
struct OrderPlaced {
    order_id: String,
    total: u64,
}

fn main() {}
