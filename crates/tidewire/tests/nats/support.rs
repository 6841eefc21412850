//! What these tests share: a server each, messages, and waiting for a condition.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    async_nats::{Client, jetstream},
    prelude::*,
};
use tidewire_server::Server;

/// A server of a test's own: it starts in ten milliseconds and is gone with the test.
pub(crate) fn server() -> Server {
    Server::start().expect("a nats-server")
}

pub(crate) async fn connect(server: &Server) -> Client {
    tidewire::connect(server.url())
        .await
        .expect("the server answers")
        .client()
}

pub(crate) fn jetstream(client: &Client) -> jetstream::Context {
    jetstream::new(client.clone())
}

/// The state of a stream's consumer.
pub(crate) async fn consumer(client: &Client, stream: &str, name: &str) -> jetstream::consumer::Info {
    let stream = jetstream(client)
        .get_stream(stream)
        .await
        .expect("the stream is there");
    stream.consumer_info(name).await.expect("the consumer is there")
}

/// Waits until `condition` holds, for at most thirty seconds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What handlers have seen, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut seen = self.0.lock().unwrap().clone();
        seen.sort();
        seen
    }

    pub(crate) async fn reaches(&self, count: usize) {
        eventually(&format!("{count} seen"), async || self.len() >= count).await;
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[event(subject = "orders.payments.payment.processed", key = payment_id)]
pub(crate) struct PaymentProcessed {
    pub(crate) payment_id: String,
    #[serde(default)]
    pub(crate) note: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[event(subject = "orders.shipping.parcel.booked", key = payment_id)]
pub(crate) struct ParcelBooked {
    pub(crate) payment_id: String,
}

pub(crate) fn processed(payment_id: impl Into<String>) -> PaymentProcessed {
    PaymentProcessed {
        payment_id: payment_id.into(),
        note: String::new(),
    }
}

/// A service that only keeps the payments' stream and publishes to it.
pub(crate) fn payments() -> Service {
    Service::new("payments", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
}

pub(crate) const PAYMENTS: &str = "ORDERS__PAYMENTS";

/// Notes the key of every payment.
pub(crate) async fn note(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
}
