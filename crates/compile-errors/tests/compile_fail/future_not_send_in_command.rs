//! As `future_not_send`, in the handler of a command.

use std::rc::Rc;

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

async fn place(Command(order): Command<PlaceOrder>) -> Receipt {
    let order = Rc::new(order);
    tokio::task::yield_now().await;
    drop(order);
    Receipt { total: 1 }
}

fn main() {
    let _ = Service::new("orders", "1.0.0").command(place);
}
