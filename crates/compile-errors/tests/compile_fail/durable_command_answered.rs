//! A durable command has a reply, and its handler gives it to nobody.

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

async fn place(Command(_order): Command<PlaceOrder>) -> Result<Receipt, Failure> {
    Ok(Receipt { total: 1 })
}

fn main() {
    let _ = Service::new("orders", "1.0.0")
        .context(Context::new("orders.checkout"))
        .on(durable("place", place));
}
