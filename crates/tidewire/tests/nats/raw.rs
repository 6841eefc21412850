//! Messages of other programs, on subjects and in streams that are not ours.

mod elsewhere;

use serde::Deserialize;
use tidewire::{
    MessageId, Metadata, StartError, Timestamp,
    async_nats::{HeaderMap, jetstream::stream},
    extract::{Json, Raw},
    prelude::*,
};

use crate::support::{
    Kept, ParcelBooked, Seen, connect, consumer, eventually, jetstream, kept_reach, payments, processed,
    quiet, server,
};

#[derive(Deserialize)]
struct Reading {
    celsius: f64,
}

async fn note_raw(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    id: MessageId,
    metadata: Metadata,
    message: Raw,
) {
    assert_eq!((attempt, metadata), (1, Metadata::default()));
    let id = if message.stored.is_none() && message.headers.is_empty() {
        "new"
    } else {
        id.as_str()
    };
    let place = message.stored.as_ref().map(ToString::to_string);
    seen.note(format!(
        "{} {:?} {:?} {id} {}",
        message.subject,
        message.header("x-MOOD"),
        message.payload,
        place.unwrap_or_default()
    ));
}

async fn note_json(State(seen): State<Seen>, Json(reading): Json<Reading>) {
    seen.note(format!("{} °C", reading.celsius));
}

async fn legacy(client: &tidewire::async_nats::Client) {
    let config = stream::Config {
        name: "LEGACY".into(),
        subjects: vec!["LEGACY.>".into(), "$odd".into()],
        ..stream::Config::default()
    };
    jetstream(client).create_stream(config).await.unwrap();
}

async fn put(client: &tidewire::async_nats::Client, subject: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    let js = jetstream(client);
    let body = body.to_vec().into();
    js.publish_with_headers(subject.to_owned(), map, body)
        .await
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_durable_handler_takes_bytes_and_bare_json_from_a_stream_that_is_not_ours() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    legacy(&client).await;
    let _bridge = Service::new("bridge", "1.0.0")
        .state(seen.clone())
        .on(durable("raw", note_raw).filter("LEGACY.Raw.>"))
        .on(durable("odd", note_raw).filter("$odd"))
        .on(durable("json", note_json).filter("LEGACY.*.Reading"))
        .start(client.clone())
        .await
        .unwrap();
    put(&client, "LEGACY.Raw.a_b", &[("X-Mood", "good")], b"\xff\x00").await;
    put(
        &client,
        "LEGACY.Raw.One.Two.Three.Four.Five",
        &[("nats-msg-id", "m-1")],
        b"",
    )
    .await;
    put(&client, "$odd", &[], b"{").await;
    put(&client, "LEGACY.kitchen.Reading", &[], br#"{"celsius":21.5}"#).await;
    seen.reaches(4).await;
    assert_eq!(
        seen.sorted(),
        [
            r#"$odd None b"{" LEGACY:3 LEGACY:3"#,
            "21.5 °C",
            r#"LEGACY.Raw.One.Two.Three.Four.Five None b"" m-1 LEGACY:2"#,
            r#"LEGACY.Raw.a_b Some("good") b"\xff\0" LEGACY:1 LEGACY:1"#,
        ]
    );
    for durable in ["bridge__raw", "bridge__odd", "bridge__json"] {
        eventually("all is acked", async || {
            let info = consumer(&client, "LEGACY", durable).await;
            info.num_ack_pending == 0 && info.num_pending == 0
        })
        .await;
    }
}

#[tokio::test]
async fn a_live_handler_hears_bytes_and_bare_json() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _bridge = Service::new("bridge", "1.0.0")
        .state(seen.clone())
        .on(live(note_raw).filter("Odd.>"))
        .on(live(note_json).filter("Sensors.*.Reading"))
        .start(client.clone())
        .await
        .unwrap();
    client.publish("Odd.one", "x".into()).await.unwrap();
    let reading = r#"{"celsius":-3}"#;
    client
        .publish("Sensors.hall.Reading", reading.into())
        .await
        .unwrap();
    seen.reaches(2).await;
    assert_eq!(seen.sorted(), ["-3 °C", r#"Odd.one None b"x" new "#]);
}

/// Emits what it was given, and fails the first time after that.
async fn translate(
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    sent: Timestamp,
    message: Raw,
) -> Result<(), Failure> {
    assert_eq!(Some(sent), message.stored.map(|stored| stored.time));
    booked.emit(ParcelBooked {
        payment_id: message.subject,
    });
    if attempt == 1 {
        Err("the first time").or_retry_after(std::time::Duration::from_millis(10))?;
    }
    Ok(())
}

/// What follows from a message without an envelope begins a conversation, and has the same id at each attempt.
#[tokio::test]
async fn what_is_emitted_follows_from_the_messages_place_or_its_own_id() {
    let server = server();
    let client = connect(&server).await;
    legacy(&client).await;
    let service = || {
        Service::new("bridge", "1.0.0")
            .context(Context::new("orders.shipping"))
            .on(durable("translate", translate).filter("LEGACY.>"))
    };
    put(&client, "LEGACY.a", &[], b"?").await;
    put(&client, "LEGACY.b", &[("Nats-Msg-Id", "m-1")], b"?").await;
    let running = service().start(client.clone()).await.unwrap();
    let parcels = async || {
        let mut parcels = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
        parcels.info().await.unwrap().state.messages
    };
    eventually("both are translated", async || parcels().await == 2).await;
    let stream = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
    let mut causes = Vec::new();
    for sequence in [1, 2] {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(
            body["metadata"]["correlation_id"],
            body["metadata"]["causation_id"]
        );
        causes.push(body["metadata"]["causation_id"].as_str().unwrap().to_owned());
    }
    causes.sort();
    assert_eq!(causes, ["LEGACY:1", "m-1"]);
    // Handled again from the start: the stream knows the ids and stores nothing.
    eventually("both are acked", async || {
        consumer(&client, "LEGACY", "bridge__translate")
            .await
            .num_ack_pending
            == 0
    })
    .await;
    running.stop().await.unwrap();
    let stream = jetstream(&client).get_stream("LEGACY").await.unwrap();
    stream.delete_consumer("bridge__translate").await.unwrap();
    let _again = service().start(client.clone()).await.unwrap();
    eventually("both are acked again", async || {
        let info = consumer(&client, "LEGACY", "bridge__translate").await;
        info.num_ack_pending == 0 && info.num_pending == 0 && info.delivered.stream_sequence == 2
    })
    .await;
    assert_eq!(parcels().await, 2);
}

async fn note_envelope(State(seen): State<Seen>, id: MessageId, metadata: Metadata, message: Raw) {
    let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(body["id"], id.as_str());
    seen.note(metadata.correlation_id.unwrap_or_default());
}

/// One of ours keeps its identity and its conversation, even if it is taken as bytes.
#[tokio::test]
async fn a_message_of_ours_is_taken_as_bytes_and_keeps_who_it_is() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let service = Service::new("archive", "1.0.0").state(seen.clone());
    let service = service.on(durable("all", note_envelope).filter("orders.>"));
    let _archive = service.start(client).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    seen.reaches(1).await;
    assert!(seen.sorted()[0].starts_with("evt_"), "{:?}", seen.sorted());
}

#[tokio::test]
async fn bytes_need_a_filter_and_a_stream() {
    let server = server();
    let service = Service::new("bridge", "1.0.0").state(Seen::default());
    let error = service.on(durable("raw", note_raw)).manifest().unwrap_err();
    assert!(error.to_string().contains(".filter("), "{error}");
    let service = Service::new("bridge", "1.0.0").state(Seen::default());
    let service = service.on(durable("raw", note_raw).filter("$KV.>"));
    let started = service.start(connect(&server).await).await;
    let error = started.unwrap_err();
    assert!(matches!(error, StartError::NothingMatches { .. }));
    assert!(
        error.to_string().contains("the durable `raw` needs `$KV.>`"),
        "{error}"
    );
}

/// A body that is no JSON and one that does not fit are told apart, and neither ends the consumer.
#[tokio::test]
async fn bare_json_that_does_not_fit_is_a_dead_letter() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    legacy(&client).await;
    let service = Service::new("bridge", "1.0.0").state(seen.clone());
    let service = service.on(durable("json", note_json).filter("LEGACY.>"));
    let _bridge = service.start(client.clone()).await.unwrap();
    put(&client, "LEGACY.a", &[], b"{").await;
    put(&client, "LEGACY.b", &[], br#"{"celsius":"warm"}"#).await;
    put(&client, "LEGACY.c", &[], br#"{"celsius":1}"#).await;
    seen.reaches(1).await;
    let letters = kept_reach(&client, 2).await;
    let class = |letter: &Kept| letter.record.trouble.clone().unwrap().class;
    let mut classes: Vec<_> = letters.iter().map(class).collect();
    classes.sort();
    assert_eq!(classes, ["invalid", "malformed"]);
    quiet(&client, "LEGACY", "bridge__json").await;
}
