//! Events from handler to handler.

use std::time::{Duration, Instant};

use tidewire::{PublishError, Timestamp, prelude::*};

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, eventually, jetstream, note, payments,
    processed, server,
};

async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
}

async fn note_parcel(State(seen): State<Seen>, Event(parcel): Event<ParcelBooked>) {
    seen.note(parcel.payment_id);
}

#[tokio::test]
async fn an_event_reaches_a_handler_and_what_it_emits_reaches_the_next() {
    let (server, seen) = (server(), Seen::default());
    let payments = payments().start(connect(&server).await).await.unwrap();
    let shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("ship", ship))
        .on(durable("note", note_parcel))
        .start(connect(&server).await)
        .await
        .unwrap();
    // Keys that mean something to NATS arrive escaped and come back unchanged.
    let mut keys = ["a.b", "*", ">", "a\r\nb", "nul\0", "nbsp\u{a0}", "🦀", "plain"];
    for key in keys {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    seen.reaches(keys.len()).await;
    keys.sort_unstable();
    assert_eq!(seen.sorted(), keys);
    shipping.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_cannot_be_part_of_a_subject_is_refused_and_nothing_is_sent() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in ["", &"x".repeat(129), &".".repeat(43)] {
        let error = payments.bus().publish(&processed(key)).await.unwrap_err();
        assert!(matches!(error, PublishError::Encode(_)), "{error}");
        assert!(
            error.to_string().contains("orders.payments.payment.processed"),
            "{error}"
        );
    }
    let state = jetstream(&client)
        .get_stream(PAYMENTS)
        .await
        .unwrap()
        .cached_info()
        .state
        .clone();
    assert_eq!(state.messages, 0);
    payments.bus().publish(&processed(".".repeat(42))).await.unwrap();
}

#[tokio::test]
async fn what_is_published_is_the_envelope_of_the_contract() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let stored = payments.bus().publish(&processed("p.1")).await.unwrap();
    assert_eq!(
        (stored.stream.as_str(), stored.sequence, stored.duplicate),
        (PAYMENTS, 1, false)
    );
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let message = stream.get_raw_message(1).await.unwrap();
    assert_eq!(
        message.subject.as_str(),
        "orders.payments.payment.processed.p=2E1"
    );
    let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    let fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["data", "id", "metadata", "timestamp", "type"]);
    assert_eq!(body["type"], "event");
    assert!(body["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let id = body["id"].as_str().unwrap();
    assert!(id.starts_with("evt_") && id.len() == 30, "{id}");
    let metadata = &body["metadata"];
    assert_eq!(metadata["name"], "orders.payments.payment.processed");
    assert_eq!(
        (&metadata["version"], &metadata["key"]),
        (&1.into(), &"p.1".into())
    );
    assert_eq!(
        (&metadata["source"], &metadata["correlation_id"]),
        (&"payments".into(), &id.into())
    );
    let header = |name: &str| {
        message
            .headers
            .get(name)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    assert_eq!(header("Nats-Msg-Id"), id);
    assert_eq!(header("Nats-Expected-Stream"), PAYMENTS);
    assert_eq!(header("Content-Type"), "application/json");
    assert_eq!(header("Tw-Name"), "orders.payments.payment.processed");
    assert_eq!(
        (header("Tw-Version"), header("Tw-Correlation-Id")),
        ("1".into(), id.into())
    );
}

#[tokio::test]
async fn a_bus_refuses_what_was_not_declared_and_names_the_line_to_add() {
    let server = server();
    let payments = payments().start(connect(&server).await).await.unwrap();
    let parcel = ParcelBooked {
        payment_id: "p".into(),
    };
    let error = payments.bus().publish(&parcel).await.unwrap_err();
    assert!(
        error.to_string().contains("add `.publishes::<ParcelBooked>()`"),
        "{error}"
    );
}

/// Correlation, causation and trace go from an event to what it causes; the same input causes the same ids.
#[tokio::test]
async fn what_follows_from_an_event_carries_its_conversation_and_a_stable_id() {
    let server = server();
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let shipping = || {
        Service::new("shipping", "1.0.0")
            .context(Context::new("orders.shipping"))
            .on(durable("ship", ship))
    };
    let running = shipping().start(client.clone()).await.unwrap();
    let mut headers = tidewire::async_nats::HeaderMap::new();
    let trace = [
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("baggage", "k=v"),
    ];
    for (name, value) in trace {
        headers.append(name, value);
    }
    let body = r#"{"type":"event","id":"evt_1","timestamp":"2024-03-20T10:00:00Z","data":{"payment_id":"p"},
        "metadata":{"correlation_id":"cmd_9"}}"#;
    let js = jetstream(&client);
    let subject = "orders.payments.payment.processed.p";
    js.publish_with_headers(subject, headers, body.into())
        .await
        .unwrap()
        .await
        .unwrap();
    let stream = js.get_stream("ORDERS__SHIPPING").await.unwrap();
    eventually("the parcel is booked", async || {
        stream.get_info().await.unwrap().state.messages == 1
    })
    .await;
    let parcel = stream.get_raw_message(1).await.unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&parcel.payload).unwrap();
    assert_eq!(sent["metadata"]["correlation_id"], "cmd_9");
    assert_eq!(sent["metadata"]["causation_id"], "evt_1");
    assert_eq!(sent["metadata"]["source"], "shipping");
    for (name, value) in trace {
        assert_eq!(
            parcel.headers.get(name).map(ToString::to_string).as_deref(),
            Some(value)
        );
    }
    // Handled again, it emits under the same id, and the stream has it already.
    running.stop().await.unwrap();
    js.get_stream(PAYMENTS)
        .await
        .unwrap()
        .delete_consumer("shipping__ship")
        .await
        .unwrap();
    let _again = shipping().start(client.clone()).await.unwrap();
    eventually("it was handled again", async || {
        let info = js
            .get_stream(PAYMENTS)
            .await
            .unwrap()
            .consumer_info("shipping__ship")
            .await
            .unwrap();
        info.ack_floor.stream_sequence == 1
    })
    .await;
    assert_eq!(stream.get_info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_durable_begins_where_it_is_declared_to() {
    let server = server();
    let payments = payments().start(connect(&server).await).await.unwrap();
    payments.bus().publish(&processed("1")).await.unwrap();
    payments.bus().publish(&processed("2")).await.unwrap();
    let later = Timestamp::from_unix(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap());
    let starts = [
        ("beginning", Start::Beginning, vec!["1", "2", "3"]),
        ("second", Start::Sequence(2), vec!["2", "3"]),
        ("time", Start::Time(later), vec!["3"]),
        ("now", Start::Now, vec!["3"]),
    ];
    let mut running = Vec::new();
    for (name, start, _) in &starts {
        let seen = Seen::default();
        let service = Service::new(*name, "1.0.0")
            .state(seen.clone())
            .on(durable("note", note).start(*start));
        running.push((service.start(connect(&server).await).await.unwrap(), seen));
    }
    payments.bus().publish(&processed("3")).await.unwrap();
    for ((service, seen), (name, _, expected)) in running.into_iter().zip(&starts) {
        seen.reaches(expected.len()).await;
        service.stop().await.unwrap();
        assert_eq!(seen.sorted(), *expected, "{name}");
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_and_nothing_is_lost() {
    let (mut server, seen) = (server(), Seen::default());
    let payments = payments().start(connect(&server).await).await.unwrap();
    let service = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note));
    let shipping = service.start(connect(&server).await).await.unwrap();
    let mut killed = Instant::now();
    for key in 0..50 {
        if key == 20 {
            killed = Instant::now();
            server.kill().unwrap();
            server.restart().unwrap();
        }
        payments
            .bus()
            .publish(&processed(format!("{key:02}")))
            .await
            .unwrap();
    }
    // The server may have forgotten the last acks and deliver those messages again.
    eventually("each was handled at least once", async || {
        let mut unique = seen.sorted();
        unique.dedup();
        unique.len() == 50
    })
    .await;
    // Where nobody asks anew with the new connection, it is asked after 10.5 seconds of silence.
    assert!(
        killed.elapsed() < Duration::from_secs(10),
        "the pull was not asked for anew: {:?}",
        killed.elapsed()
    );
    shipping.stop().await.unwrap();
}
