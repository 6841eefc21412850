//! What these tests share: a server each, messages, and waiting for a condition.

#[path = "../support/connecting.rs"]
mod connecting;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod mortal;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Connect,
    async_nats::{
        Client,
        jetstream::{
            self,
            stream::{self, Stream},
        },
    },
    dead_letter::Record,
    prelude::*,
    wire,
};
use tidewire_server::Server;

pub(crate) use connecting::connected;

/// A server of a test's own: it starts in ten milliseconds and is gone with the test.
pub(crate) fn server() -> Server {
    Server::start().expect("a nats-server")
}

pub(crate) async fn connect(server: &Server) -> Client {
    connected(Connect::to(server.url())).await.client()
}

pub(crate) fn jetstream(client: &Client) -> jetstream::Context {
    jetstream::new(client.clone())
}

/// From now on the stream takes so many messages, or any number by -1.
pub(crate) async fn limit_messages(client: &Client, name: &str, most: i64) {
    let js = jetstream(client);
    let config = stream::Config {
        max_messages: most,
        ..js.get_stream(name).await.unwrap().cached_info().config.clone()
    };
    js.update_stream(config).await.unwrap();
}

/// The state of a stream's consumer.
pub(crate) async fn consumer(client: &Client, stream: &str, name: &str) -> jetstream::consumer::Info {
    let stream = jetstream(client)
        .get_stream(stream)
        .await
        .expect("the stream is there");
    stream.consumer_info(name).await.expect("the consumer is there")
}

/// Waits until `condition` holds, for at most two minutes: thousands of messages take long beside other tests.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 120 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A record in the dead-letter stream, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) subject: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) record: Record,
}

/// Every record of dead letters, oldest first.
pub(crate) async fn kept(client: &Client) -> Vec<Kept> {
    let js = jetstream(client);
    let Ok(stream) = js.get_stream(wire::DLQ_STREAM).await else {
        return Vec::new();
    };
    let mut kept = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else {
            continue;
        };
        let pairs = message.headers.iter().flat_map(|(name, values)| {
            values
                .iter()
                .map(move |value| (name.to_string(), value.as_str().to_owned()))
        });
        let headers: Vec<_> = pairs.collect();
        let body = match headers.iter().find(|(name, _)| name == wire::TW_OBJECT) {
            Some((_, name)) => {
                let read = tidewire::read_object(&client.clone().into(), wire::LETTERS_BUCKET, name).await;
                read.unwrap().unwrap()
            }
            None => message.payload.clone(),
        };
        let record = Record::read(
            &headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
            &body,
        );
        kept.push(Kept {
            subject: message.subject.to_string(),
            headers: headers.clone(),
            record: record.unwrap(),
        });
    }
    kept
}

/// What a handler fails with, and what that has as its source.
#[derive(Debug, thiserror::Error)]
#[error("the gateway says {0}")]
pub(crate) struct Gateway(pub(crate) u16);

#[derive(Debug, thiserror::Error)]
#[error("cannot charge")]
pub(crate) struct Charge(#[source] pub(crate) Gateway);

/// Waits until there are so many records of dead letters.
pub(crate) async fn kept_reach(client: &Client, count: usize) -> Vec<Kept> {
    eventually(&format!("{count} records of dead letters"), async || {
        kept(client).await.len() >= count
    })
    .await;
    kept(client).await
}

/// Waits until nothing waits for a consumer and nothing is unacknowledged.
pub(crate) async fn quiet(client: &Client, stream: &str, name: &str) {
    eventually(&format!("{name} is quiet"), async || {
        // A server that was killed a moment ago does not answer what was asked before.
        let Ok(stream) = jetstream(client).get_stream(stream).await else {
            return false;
        };
        let Ok(info) = stream.consumer_info(name).await else {
            return false;
        };
        // A message is confirmed to its publisher a moment before the consumer counts it.
        let last = last_of(&stream, &info.config.filter_subjects, &info.config.filter_subject).await;
        info.num_pending == 0 && info.num_ack_pending == 0 && info.delivered.stream_sequence >= last
    })
    .await;
}

/// The sequence of the last message that a consumer's filters match.
async fn last_of<I>(stream: &Stream<I>, filters: &[String], filter: &str) -> u64 {
    let mut last = 0;
    let filters = filters.iter().map(String::as_str).chain([filter]);
    for filter in filters.filter(|filter| !filter.is_empty()) {
        if let Ok(message) = stream.get_last_raw_message_by_subject(filter).await {
            last = last.max(message.sequence);
        }
    }
    last
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

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut seen = self.all();
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

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.refunded", key = payment_id)]
pub(crate) struct PaymentRefunded {
    pub(crate) payment_id: String,
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
