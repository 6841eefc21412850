//! What the benchmarks send: an envelope of about 280 bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Event, Query};

/// An order was placed.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "tidewire-bench.orders.order.placed", key = order)]
pub struct Placed {
    /// The order.
    pub order: String,
    /// Who placed it.
    pub customer: String,
    /// In cents.
    pub amount: u64,
}

/// An order was shown; nothing stores it.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "tidewire-bench.screens.order.shown", key = order)]
pub struct Shown {
    /// The order.
    pub order: String,
    /// Who placed it.
    pub customer: String,
    /// In cents.
    pub amount: u64,
}

/// What an order costs.
#[derive(Clone, Debug, PartialEq, Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "tidewire-bench.orders.order.price", key = order, reply = Priced)]
pub struct Price {
    /// The order.
    pub order: String,
}

/// What it costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Priced {
    /// The order.
    pub order: String,
    /// In cents.
    pub amount: u64,
}

impl Placed {
    /// One of many; a thousand orders take turns.
    pub fn number(index: u64) -> Self {
        Self {
            order: format!("o-{:04}", index % 1000),
            customer: "c-4711".into(),
            amount: index,
        }
    }
}

impl Shown {
    /// One of many; a thousand orders take turns.
    pub fn number(index: u64) -> Self {
        let Placed {
            order,
            customer,
            amount,
        } = Placed::number(index);
        Self {
            order,
            customer,
            amount,
        }
    }
}

impl Price {
    /// One of many; a thousand orders take turns.
    pub fn number(index: u64) -> Self {
        Self {
            order: format!("o-{:04}", index % 1000),
        }
    }
}
