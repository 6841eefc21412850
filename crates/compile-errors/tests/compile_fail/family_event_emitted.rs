//! A handler emits an event of a family.

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

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.checkout.order.place", key = order_id, reply = ())]
struct PlaceOrder {
    order_id: String,
}

async fn place(placed: Emit<OrderPlaced>, Command(order): Command<PlaceOrder>) {
    placed.emit(OrderPlaced {
        order_id: order.order_id,
    });
}

fn main() {
    let _ = Service::new("orders", "1.0.0").command(place);
}
