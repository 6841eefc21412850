//! Subjects that are no names of messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.Order.placed")]
struct UpperCase;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.placed")]
struct TooFewWords;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed.{order_id}")]
struct Placeholder;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.*")]
struct Wildcard;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "queue.checkout.order.placed")]
struct Reserved;

fn main() {}
