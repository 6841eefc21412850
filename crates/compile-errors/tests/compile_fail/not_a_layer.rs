//! Something is given as a layer that is none.

use std::time::Duration;

use tidewire::prelude::*;

fn main() {
    let _ = Service::new("orders", "1.0.0").layer(Duration::from_secs(1));
}
