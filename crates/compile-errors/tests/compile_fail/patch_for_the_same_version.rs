//! A patch is for an older version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 2, patch(2 = []))]
struct Placed;

fn main() {}
