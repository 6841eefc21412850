//! The other format.

mod queue;
mod requests;
mod sent;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewire::{Format, async_nats::HeaderMap, prelude::*};

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, note, payments,
    processed, server,
};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.shipping.parcel.book", key = payment_id, reply = u32)]
struct BookParcel {
    payment_id: String,
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.shipping.parcel.get", key = payment_id, reply = String)]
struct GetParcel {
    payment_id: String,
}

const BOOK: &str = "orders.shipping.parcel.book";
const GET: &str = "orders.shipping.parcel.get";

/// The attributes of a message, as text.
type Attributes = BTreeMap<String, String>;

fn attributes<const N: usize>(given: [(&str, &str); N]) -> Attributes {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    given.into_iter().map(owned).collect()
}

/// A message as a program writes it that knows the specification and nothing of ours but the attribute for its kind.
fn written(format: Format, attributes: &Attributes, data: &Value) -> (HeaderMap, String) {
    let mut headers = HeaderMap::new();
    if format == Format::CloudEventsBinary {
        for (name, value) in attributes {
            headers.append(format!("ce-{name}").as_str(), value.as_str());
        }
        headers.append("content-type", "application/json");
        return (headers, data.to_string());
    }
    headers.append("content-type", "application/cloudevents+json; charset=utf-8");
    let mut body = serde_json::to_value(attributes).unwrap();
    body["data"] = data.clone();
    (headers, body.to_string())
}

/// What is on the wire, read by the specification alone: the attributes, and the data.
fn read(format: Format, headers: &HeaderMap, payload: &[u8]) -> (Attributes, Value) {
    let ours = headers.iter().filter_map(|(name, values)| {
        let name: &str = name.as_ref();
        Some((name.strip_prefix("ce-")?, values[0].as_str()))
    });
    let in_headers: Attributes = ours
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body: Value = serde_json::from_slice(payload).unwrap();
    let content_type = headers.get("Content-Type").unwrap().as_str();
    if format == Format::CloudEventsBinary {
        assert_eq!(content_type, "application/json");
        return (in_headers, body);
    }
    assert_eq!(content_type, "application/cloudevents+json");
    assert_eq!(in_headers, Attributes::new());
    let Value::Object(mut members) = body else {
        panic!("{body}")
    };
    let data = members.remove("data").unwrap();
    let text = |(name, value): (String, Value)| (name, value.as_str().unwrap().to_owned());
    (members.into_iter().map(text).collect(), data)
}

#[tokio::test]
async fn a_service_writes_cloud_events_and_reads_every_format() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _keeper = payments().start(client.clone()).await.unwrap();
    let reader = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note));
    let _reader = reader.start(client.clone()).await.unwrap();
    let formats = [
        Format::Tidewire,
        Format::CloudEventsBinary,
        Format::CloudEventsStructured,
    ];
    for (key, format) in formats.into_iter().enumerate() {
        let service = payments().format(format).start(client.clone()).await.unwrap();
        service.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    seen.reaches(3).await;
    assert_eq!(seen.sorted(), ["0", "1", "2"]);
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let binary = stream.get_raw_message(2).await.unwrap();
    assert_eq!(
        binary.headers.get("ce-type").unwrap().as_str(),
        "orders.payments.payment.processed"
    );
    let data: Value = serde_json::from_slice(&binary.payload).unwrap();
    assert_eq!(data["payment_id"], "1");
    let structured = stream.get_raw_message(3).await.unwrap();
    assert_eq!(
        structured.headers.get("Content-Type").unwrap().as_str(),
        "application/cloudevents+json"
    );
}

#[tokio::test]
async fn a_foreign_cloud_event_reaches_a_typed_handler() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let service = Service::new("payments", "1.0.0").state(seen.clone());
    let service = service
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>();
    let service = service.on(durable("note", note));
    let _running = service.start(client.clone()).await.unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20b"),
        ("ce-source", "/till/7"),
        ("ce-type", "orders.payments.payment.processed"),
    ] {
        headers.append(name, value);
    }
    let js = jetstream(&client);
    let subject = "orders.payments.payment.processed.p";
    let body = r#"{"payment_id":"p"}"#;
    js.publish_with_headers(subject, headers, body.into())
        .await
        .unwrap()
        .await
        .unwrap();
    seen.reaches(1).await;
}

async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
    let payment_id = paid.payment_id;
    booked.emit(ParcelBooked { payment_id });
}

/// Ids are made of the event's time: without one it is the time at which it was stored, and no later one.
#[tokio::test]
async fn what_follows_from_an_event_without_a_time_has_the_same_id_at_each_delivery() {
    let server = server();
    let client = connect(&server).await;
    let _keeper = payments().start(client.clone()).await.unwrap();
    let js = jetstream(&client);
    let mut headers = HeaderMap::new();
    headers.append("Content-Type", "application/cloudevents+json");
    let body = r#"{"specversion":"1.0","id":"1","source":"/till","type":"orders.payments.payment.processed",
        "data":{"payment_id":"p"}}"#;
    let subject = "orders.payments.payment.processed.p";
    let stored = js.publish_with_headers(subject, headers, body.into());
    stored.await.unwrap().await.unwrap();
    for _ in 0..2 {
        let service = Service::new("shipping", "1.0.0").context(Context::new("orders.shipping"));
        let service = service.on(durable("ship", ship));
        let running = service.start(client.clone()).await.unwrap();
        eventually("it is shipped", async || {
            let info = consumer(&client, PAYMENTS, "shipping__ship").await;
            info.ack_floor.stream_sequence == 1
        })
        .await;
        running.stop().await.unwrap();
        let stream = js.get_stream(PAYMENTS).await.unwrap();
        stream.delete_consumer("shipping__ship").await.unwrap();
    }
    let parcels = js.get_stream("ORDERS__SHIPPING").await.unwrap();
    assert_eq!(parcels.cached_info().state.messages, 1);
}
