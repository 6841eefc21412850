//! Data that is not JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    async_nats::{Client, HeaderMap},
    prelude::*,
};

use crate::support::{Seen, connect, eventually, jetstream, kept_reach, server};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "plant.hall.sensor.measured", key = sensor, codec = msgpack)]
struct Measured {
    sensor: String,
    celsius: Vec<f64>,
}

#[derive(Event, prost::Message, Serialize, Deserialize, JsonSchema)]
#[event(subject = "plant.hall.sensor.calibrated", key = sensor, codec = protobuf)]
struct Calibrated {
    #[prost(string, tag = "1")]
    sensor: String,
    #[prost(sint32, tag = "2")]
    offset: i32,
}

#[derive(EventSet)]
enum OfSensor {
    Measured(Measured),
    Calibrated(Calibrated),
}

async fn watch(State(seen): State<Seen>, Event(event): Event<OfSensor>) -> Result<(), Failure> {
    match event {
        OfSensor::Measured(measured) if measured.sensor == "bad" => return Err("no such sensor").or_reject(),
        OfSensor::Measured(measured) => seen.note(format!("{} {:?}", measured.sensor, measured.celsius)),
        OfSensor::Calibrated(calibrated) => {
            seen.note(format!("{} by {}", calibrated.sensor, calibrated.offset));
        }
    }
    Ok(())
}

fn plant() -> Service {
    Service::new("plant", "1.0.0")
        .context(Context::new("plant.hall"))
        .publishes::<Measured>()
        .publishes::<Calibrated>()
}

fn watcher(seen: &Seen) -> Service<Seen> {
    Service::new("watcher", "1.0.0")
        .state(seen.clone())
        .on(durable("watch", watch))
}

fn measured(sensor: &str) -> Measured {
    Measured {
        sensor: sensor.into(),
        celsius: vec![21.5; 3],
    }
}

/// Stores a binary `CloudEvent` of a program that is not ours.
async fn send(client: &Client, event: &str, media_type: &str, data: &'static [u8]) {
    let mut headers = HeaderMap::new();
    let name = event.rsplit_once('.').unwrap().0;
    for (header, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", event),
        ("ce-source", "/python"),
        ("ce-type", name),
        ("content-type", media_type),
    ] {
        headers.append(header, value);
    }
    let js = jetstream(client);
    let sent = js.publish_with_headers(event.to_owned(), headers, data.into());
    sent.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn events_in_three_codecs_reach_one_handler() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let plant = plant().start(client.clone()).await.unwrap();
    let _watcher = watcher(&seen).start(client.clone()).await.unwrap();
    let (bus, sensor) = (plant.bus(), "b".to_owned());
    bus.publish(&measured("a")).await.unwrap();
    bus.publish(&Calibrated { sensor, offset: -3 }).await.unwrap();
    // As Python's msgpack, protoc's Python and any JSON library write them.
    let python = b"\x82\xa6sensor\xa1c\xa7celsius\x91\xcb\x3f\xf8\0\0\0\0\0\0";
    send(
        &client,
        "plant.hall.sensor.measured.c",
        "application/msgpack",
        python,
    )
    .await;
    send(
        &client,
        "plant.hall.sensor.calibrated.d",
        "application/x-protobuf",
        b"\x0a\x01d\x10\x04",
    )
    .await;
    let json = br#"{"sensor":"e","celsius":[]}"#;
    send(&client, "plant.hall.sensor.measured.e", "application/json", json).await;
    seen.reaches(5).await;
    let expected = ["a [21.5, 21.5, 21.5]", "b by -3", "c [1.5]", "d by 2", "e []"];
    assert_eq!(seen.sorted(), expected);
    let stream = jetstream(&client).get_stream("PLANT__HALL").await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    assert_eq!(
        first.headers.get("Content-Type").unwrap().as_str(),
        "application/msgpack"
    );
    assert_eq!(first.payload[0], 0x82, "a map of two, and nothing around it");
    let manifest = plant.manifest();
    assert_eq!(
        manifest.messages["plant.hall.sensor.calibrated"].codec.as_deref(),
        Some("application/protobuf")
    );
}

#[tokio::test]
async fn dead_letters_keep_them_byte_for_byte() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let plant = plant().start(client.clone()).await.unwrap();
    let _watcher = watcher(&seen).start(client.clone()).await.unwrap();
    plant.bus().publish(&measured("bad")).await.unwrap();
    send(
        &client,
        "plant.hall.sensor.measured.x",
        "application/msgpack",
        b"\xc1",
    )
    .await;
    send(
        &client,
        "plant.hall.sensor.measured.y",
        "application/protobuf",
        b"\x0a\x01y",
    )
    .await;
    let letters = kept_reach(&client, 3).await;
    let mut said: Vec<_> = letters
        .iter()
        .map(|letter| {
            let original = letter.record.original.as_ref().unwrap();
            let class = letter.record.trouble.as_ref().unwrap().class.clone();
            (class, original.payload[..2.min(original.payload.len())].to_vec())
        })
        .collect();
    said.sort();
    let expected = [
        ("incompatible", &b"\x0a\x01"[..]),
        ("malformed", b"\xc1"),
        ("rejected", b"\x82\xa6"),
    ];
    assert_eq!(
        said,
        expected.map(|(class, bytes)| (class.to_owned(), bytes.to_vec()))
    );
}

/// All that is done about size is done about these too.
#[tokio::test]
async fn a_codec_is_compressed_and_goes_through_the_object_store() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let plant = plant().compress_above(1000).claim_check_above(2000);
    let plant = plant.start(client.clone()).await.unwrap();
    let _watcher = watcher(&seen).start(client.clone()).await.unwrap();
    for count in [300, 50_000_u32] {
        let celsius = (0..count).map(f64::from).map(f64::sqrt).collect();
        let sensor = count.to_string();
        plant.bus().publish(&Measured { sensor, celsius }).await.unwrap();
    }
    eventually("both came", async || seen.len() == 2).await;
    assert!(seen.sorted()[1].starts_with("50000 [0.0, 1.0, 1.4142135623730951,"));
    let stream = jetstream(&client).get_stream("PLANT__HALL").await.unwrap();
    let large = stream.get_raw_message(2).await.unwrap();
    assert_eq!(
        large.headers.get("Content-Type").unwrap().as_str(),
        "application/msgpack"
    );
    assert!(large.payload.is_empty());
}
