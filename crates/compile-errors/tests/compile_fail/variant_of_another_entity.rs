//! A family has an event of another entity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(EventFamily)]
#[family(entity = "orders.checkout.order")]
enum OrderEvent {
    Emptied(BasketEmptied),
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.basket.emptied", key = basket_id, family = OrderEvent)]
struct BasketEmptied {
    basket_id: String,
}

fn main() {}
