//! A query is handled as if somebody could wait in a queue for its answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.checkout.order.get", key = order_id, reply = ())]
struct GetOrder {
    order_id: String,
}

async fn get(Query(_order): Query<GetOrder>) {}

fn main() {
    let _ = Service::new("orders", "1.0.0").on(durable("get", get));
}
