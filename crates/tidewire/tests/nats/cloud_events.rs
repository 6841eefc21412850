//! The other format.

use serde_json::Value;
use tidewire::{Format, async_nats::HeaderMap, prelude::*};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, jetstream, note, payments, processed, server,
};

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
