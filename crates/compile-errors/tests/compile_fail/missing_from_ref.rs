//! A handler takes a part of the state that the state does not give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
}

#[derive(Clone)]
struct App {
    mailer: Mailer,
}

#[derive(Clone)]
struct Mailer;

async fn confirm(State(_mailer): State<Mailer>, Event(_order): Event<OrderPlaced>) {}

fn main() {
    let app = App { mailer: Mailer };
    let _ = Service::new("orders", "1.0.0")
        .state(app)
        .on(durable("confirm", confirm));
}
