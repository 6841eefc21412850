//! An operation without a path.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", version = 2, patch(1 = [{"op": "remove"}]))]
struct Placed;

fn main() {}
