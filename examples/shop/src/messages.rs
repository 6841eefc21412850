//! What the services say to each other: all that they have in common.
//!
//! Amounts are in cents. Every message has a key, which is the last token of its subject: the order, the payment or,
//! for the messages of the warehouse, the item.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

// orders.checkout: what a customer does.

/// Orders `units` of an item. An order that is placed again under its id is the same order.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.checkout.order.place", key = order_id, reply = Receipt)]
pub struct PlaceOrder {
    /// Chosen by the customer's side, so that a lost answer can be asked for again.
    pub order_id: String,
    /// The item.
    pub sku: String,
    /// How many.
    pub units: u32,
    /// The card to charge.
    pub card: String,
}

/// The answer to [`PlaceOrder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The order.
    pub order_id: String,
    /// What it will cost.
    pub total: u64,
}

/// An order was accepted; it is neither reserved nor paid yet.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order_id)]
pub struct OrderPlaced {
    /// The order.
    pub order_id: String,
    /// The item.
    pub sku: String,
    /// How many.
    pub units: u32,
    /// What it will cost.
    pub total: u64,
}

// A shop that sells real things sends a token that its gateway gave it for the card, and never the number.
/// An order is to be paid: whoever takes the money may take it now.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.payment.requested", key = payment_id)]
pub struct PaymentRequested {
    /// The payment; the same whenever the same payment is asked for again.
    pub payment_id: String,
    /// The order that is to be paid.
    pub order_id: String,
    /// How much.
    pub amount: u64,
    /// The card to charge.
    pub card: String,
}

/// How is my order?
#[derive(Query, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.checkout.order.get", key = order_id, reply = Option<OrderView>)]
pub struct GetOrder {
    /// The order.
    pub order_id: String,
}

/// The answer to [`GetOrder`], where there is such an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// The order.
    pub order_id: String,
    /// How far it is.
    pub status: OrderStatus,
    /// What it costs.
    pub total: u64,
}

/// How far an order is. The last three are ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted.
    Placed,
    /// Its units are put aside.
    Reserved,
    /// Paid for: done.
    Paid,
    /// There were not enough units.
    OutOfStock,
    /// The card was declined.
    PaymentFailed,
}

// inventory.stock: what the warehouse does.

/// Puts `units` of an item aside for an order; at most once for each order.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[command(subject = "inventory.stock.item.reserve", key = sku)]
pub struct ReserveItem {
    /// The item.
    pub sku: String,
    /// The order.
    pub order_id: String,
    /// How many.
    pub units: u32,
}

/// Units were put aside for an order.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(subject = "inventory.stock.item.reserved", key = sku)]
pub struct ItemReserved {
    /// The item.
    pub sku: String,
    /// The order.
    pub order_id: String,
    /// How many.
    pub units: u32,
}

/// There were not enough units for an order.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(subject = "inventory.stock.item.rejected", key = sku)]
pub struct ItemRejected {
    /// The item.
    pub sku: String,
    /// The order.
    pub order_id: String,
}

// orders.payments: what the cashier does.

/// A card was charged.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id)]
pub struct PaymentProcessed {
    /// The payment.
    pub payment_id: String,
    /// The order that is paid.
    pub order_id: String,
    /// How much.
    pub amount: u64,
}

/// A card was declined; nothing was charged.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.failed", key = payment_id)]
pub struct PaymentFailed {
    /// The payment.
    pub payment_id: String,
    /// The order that is not paid.
    pub order_id: String,
    /// What the card's issuer says.
    pub reason: String,
}

/// The three ends of an order.
#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum Ending {
    /// It is paid.
    Paid(PaymentProcessed),
    /// There were not enough units.
    OutOfStock(ItemRejected),
    /// The card was declined.
    PaymentFailed(PaymentFailed),
}

impl Ending {
    /// The order that has ended.
    pub fn order_id(&self) -> &str {
        match self {
            Self::Paid(event) => &event.order_id,
            Self::OutOfStock(event) => &event.order_id,
            Self::PaymentFailed(event) => &event.order_id,
        }
    }

    /// The status that the order ends with.
    pub fn status(&self) -> OrderStatus {
        match self {
            Self::Paid(_) => OrderStatus::Paid,
            Self::OutOfStock(_) => OrderStatus::OutOfStock,
            Self::PaymentFailed(_) => OrderStatus::PaymentFailed,
        }
    }
}
