//! A command declares one reply, and its handler gives another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.checkout.order.place", key = order_id, reply = Receipt)]
struct PlaceOrder {
    order_id: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Receipt {
    total: u64,
}

async fn place(Command(_order): Command<PlaceOrder>) -> Result<u64, Failure> {
    Ok(1)
}

fn main() {
    let _ = Service::new("orders", "1.0.0").command(place);
}
