//! A command is to be heard live: with nobody there it would be lost.

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

async fn place(Command(_order): Command<PlaceOrder>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(live(place));
}
