//! How version 2 becomes version 3 is not said.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 3, patch(1 = []))]
struct Placed;

fn main() {}
