//! As `missing_from_ref`, in the handler of a command.

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

#[derive(Clone)]
struct Tills;

async fn place(State(_tills): State<Tills>, Command(_order): Command<PlaceOrder>) -> Receipt {
    Receipt { total: 1 }
}

fn main() {
    let _ = Service::new("orders", "1.0.0").command(place);
}
