//! A codec is a feature.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "plant.hall.sensor.measured", codec = msgpack)]
struct Measured {
    celsius: f64,
}

fn main() {}
