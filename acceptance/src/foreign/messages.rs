//! The messages of the service that foreign programs talk to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

/// What foreign programs publish.
#[derive(Event, Serialize, Deserialize, JsonSchema, Debug)]
#[event(subject = "orders.payments.payment.requested", key = payment_id)]
pub(crate) struct PaymentRequested {
    pub(crate) payment_id: String,
    pub(crate) amount: u64,
    pub(crate) note: String,
}

/// What foreign programs read.
#[derive(Event, Serialize, Deserialize, JsonSchema, Debug)]
#[event(subject = "orders.payments.payment.processed", key = payment_id)]
pub(crate) struct PaymentProcessed {
    pub(crate) payment_id: String,
    pub(crate) amount: u64,
}

#[derive(Command, Serialize, Deserialize, JsonSchema, Debug)]
#[command(subject = "orders.payments.payment.process", key = payment_id, reply = Receipt)]
pub(crate) struct ProcessPayment {
    pub(crate) payment_id: String,
    pub(crate) amount: u64,
}

#[derive(Query, Serialize, Deserialize, JsonSchema, Debug)]
#[query(subject = "orders.payments.payment.get", key = payment_id, reply = Option<Receipt>)]
pub(crate) struct GetPayment {
    pub(crate) payment_id: String,
}

#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub(crate) struct Receipt {
    pub(crate) payment_id: String,
    pub(crate) amount: u64,
}

pub(crate) const REQUESTED: &str = "orders.payments.payment.requested";
pub(crate) const PROCESSED: &str = "orders.payments.payment.processed";
pub(crate) const PROCESS: &str = "orders.payments.payment.process";
pub(crate) const GET: &str = "orders.payments.payment.get";
/// The stream of the context.
pub(crate) const STREAM: &str = "ORDERS__PAYMENTS";

/// More than this is declined.
pub(crate) const LIMIT: u64 = 1_000;
/// With this amount the gateway is down.
pub(crate) const UNLUCKY: u64 = 13;
