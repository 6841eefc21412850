//! `tidewire dlq show` of messages whose data is no JSON.

use insta::assert_snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidewire::{Failure, OrFail, prelude::*};
use tidewire_server::Server;

use crate::{
    run::{Ran, run, within},
    services::connect,
};

#[derive(Event, prost::Message, Serialize, Deserialize, JsonSchema)]
#[event(subject = "plant.hall.sensor.calibrated", key = sensor, codec = protobuf)]
struct Calibrated {
    #[prost(string, tag = "1")]
    sensor: String,
    #[prost(sint32, tag = "2")]
    offset: i32,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "plant.hall.sensor.measured", key = sensor, codec = msgpack)]
struct Measured {
    sensor: String,
    celsius: f64,
}

#[derive(EventSet)]
#[expect(dead_code, reason = "its handler fails before it looks")]
enum OfSensor {
    Measured(Measured),
    Calibrated(Calibrated),
}

async fn watch(Event(_): Event<OfSensor>) -> Result<(), Failure> {
    Err("no such sensor").or_reject()
}

fn watcher() -> Service {
    Service::new("watcher", "1.0.0").on(durable("watch", watch))
}

async fn show(server: &Server, letter: &str) -> (Value, Ran) {
    let json = run(server, &["dlq", "show", letter, "--json"]).await.json();
    (
        json["message"].clone(),
        run(server, &["dlq", "show", letter]).await,
    )
}

#[tokio::test]
async fn protobuf_is_read_by_an_instance_of_its_service_and_messagepack_by_nobody() {
    let server = Server::start().unwrap();
    let plant = Service::new("plant", "1.0.0")
        .context(Context::new("plant.hall"))
        .publishes::<Calibrated>()
        .publishes::<Measured>();
    let plant = plant.start(connect(&server).await).await.unwrap();
    let running = watcher().start(connect(&server).await).await.unwrap();
    let calibrated = Calibrated {
        sensor: "s-1".into(),
        offset: -3,
    };
    let measured = Measured {
        sensor: "s-1".into(),
        celsius: 21.5,
    };
    plant.bus().publish(&calibrated).await.unwrap();
    plant.bus().publish(&measured).await.unwrap();
    let mut listed = Vec::new();
    within("both are dead letters", async || {
        listed = run(&server, &["dlq", "ls", "--letters", "--json"])
            .await
            .json_lines();
        listed.len() == 2
    })
    .await;
    let [calibrated, measured] = [0, 1].map(|at: usize| listed[at]["letter"].as_str().unwrap().to_owned());

    let (message, ran) = show(&server, &calibrated).await;
    assert_eq!(
        message["data"],
        json!({"sensor": "s-1", "offset": -3}),
        "{message:#}"
    );
    assert_eq!(message["codec"], "application/protobuf");
    let instance = message["decoded_by"].as_str().unwrap();
    let group = listed[0]["group"].as_str().unwrap();
    let also = |ran: &Ran| {
        let by = run_by(ran);
        ran.shown(&[
            (&*calibrated, "LETTER"),
            (instance, "INSTANCE"),
            (group, "GROUP"),
            (&by, "SERVICE"),
        ])
    };
    assert_snapshot!("dlq_show_protobuf", also(&ran));

    // One more change is shown too, as what it was before.
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    std::fs::write(&set, b"\x0a\x03s-2\x10\x05").unwrap();
    let ran = run(
        &server,
        &["dlq", "edit", &calibrated, "--set", set.to_str().unwrap()],
    )
    .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = run(&server, &["dlq", "show", &calibrated, "--json"]).await.json();
    let datas =
        [&json["message"], &json["history"][0]["message"]].map(|message| message["data"]["sensor"].clone());
    assert_eq!(datas, ["s-2", "s-1"], "{json:#}");

    // What its type cannot read is shown as it is, with the reason.
    std::fs::write(&set, b"\xff\xff").unwrap();
    run(
        &server,
        &["dlq", "edit", &calibrated, "--set", set.to_str().unwrap()],
    )
    .await;
    let (message, _) = show(&server, &calibrated).await;
    assert_eq!(
        (&message["data"], &message["decoded_by"]),
        (&json!("//8="), &Value::Null)
    );
    let said = message["not_decoded"].as_str().unwrap();
    assert!(said.starts_with("watcher could not read it: "), "{said}");

    running.stop().await.unwrap();
    let (message, _) = show(&server, &calibrated).await;
    assert_eq!(message["data"], "//8=", "{message:#}");
    assert_eq!(
        message["not_decoded"],
        "no instance of watcher runs that could read it; start one, and look at the letter again"
    );
    let (message, _) = show(&server, &measured).await;
    assert_eq!(
        message["data"],
        json!({"sensor": "s-1", "celsius": 21.5}),
        "{message:#}"
    );
    assert_eq!(
        (&message["codec"], &message["not_decoded"]),
        (&Value::Null, &Value::Null)
    );
}

/// Who stored the first record.
fn run_by(ran: &Ran) -> String {
    let line = ran
        .stdout
        .lines()
        .find(|line| line.contains("  failed by "))
        .unwrap();
    let (_, by) = line.split_once("  failed by ").unwrap();
    by.split_once(", ").unwrap().0.to_owned()
}
