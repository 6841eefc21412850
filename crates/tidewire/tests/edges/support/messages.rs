//! Two events, a command, and the services around them.

use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;

#[derive(Event, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[event(subject = "orders.payments.payment.processed", key = payment_id)]
pub(crate) struct PaymentProcessed {
    pub(crate) payment_id: String,
    #[serde(default)]
    pub(crate) note: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[event(subject = "orders.payments.payment.failed", key = payment_id)]
pub(crate) struct PaymentFailed {
    pub(crate) payment_id: String,
}

#[derive(Command, Serialize, Deserialize, JsonSchema, Clone)]
#[command(subject = "orders.payments.payment.process", key = payment_id)]
pub(crate) struct ProcessPayment {
    pub(crate) payment_id: String,
    #[serde(default)]
    pub(crate) note: String,
}

/// The stream of the context `orders.payments`.
pub(crate) const PAYMENTS: &str = "ORDERS__PAYMENTS";

pub(crate) fn processed(payment_id: impl Into<String>) -> PaymentProcessed {
    PaymentProcessed {
        payment_id: payment_id.into(),
        note: String::new(),
    }
}

pub(crate) fn process(payment_id: impl Into<String>) -> ProcessPayment {
    ProcessPayment {
        payment_id: payment_id.into(),
        note: String::new(),
    }
}

/// What handlers have seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, what: &str) -> bool {
        self.0.lock().unwrap().iter().any(|seen| seen == what)
    }
}

/// Keeps the payments' stream and publishes to it.
pub(crate) fn payments() -> Service {
    Service::new("payments", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
        .publishes::<PaymentFailed>()
}

pub(crate) async fn note_event(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
}

async fn note_command(State(seen): State<Seen>, Command(command): Command<ProcessPayment>) {
    seen.note(command.payment_id);
}

/// Reads the payments' stream through the consumer `shipping__note`.
pub(crate) fn shipping(seen: &Seen) -> Service<Seen> {
    Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note_event).concurrency(1))
}

/// Answers [`ProcessPayment`].
pub(crate) fn cashier(seen: &Seen) -> Service<Seen> {
    Service::new("cashier", "1.0.0")
        .state(seen.clone())
        .command(note_command)
}

/// Works [`ProcessPayment`] from its queue, which it keeps.
pub(crate) fn worker(seen: &Seen) -> Service<Seen> {
    Service::new("worker", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.payments"))
        .on(durable("work", note_command))
}

/// Hears payments as they are published.
pub(crate) fn display(seen: &Seen) -> Service<Seen> {
    Service::new("display", "1.0.0")
        .state(seen.clone())
        .on(live(note_event))
}

/// Asks [`ProcessPayment`].
pub(crate) fn till() -> Service {
    Service::new("till", "1.0.0").asks::<ProcessPayment>()
}

pub(crate) const PULL: &str = "$JS.API.CONSUMER.MSG.NEXT.ORDERS__PAYMENTS.shipping__note";
