//! An event of a family is given to `Bus::publish`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(EventFamily)]
#[family(entity = "orders.checkout.order")]
enum OrderEvent {
    Placed(OrderPlaced),
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id, family = OrderEvent)]
struct OrderPlaced {
    order_id: String,
}

async fn place(bus: Bus) {
    let order_id = "o-1".to_owned();
    let _ = bus.publish(&OrderPlaced { order_id }).await;
}

fn main() {
    let _ = Service::new("orders", "1.0.0").publishes::<OrderPlaced>();
}
