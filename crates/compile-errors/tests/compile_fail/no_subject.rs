//! A message without its attribute.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
struct OrderPlaced {
    order_id: String,
}

fn main() {}
