//! A message that serde cannot write.

use tidewire::prelude::*;

#[derive(Event)]
#[event(subject = "orders.checkout.order.placed")]
struct OrderPlaced;

fn main() {}
