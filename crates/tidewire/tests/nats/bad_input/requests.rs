//! What callers get wrong.

use metrics::set_default_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewire::{
    async_nats::{Client, Message},
    prelude::*,
};

use super::{
    Bad, CANARY,
    nine::{assert_metrics, by_class, good, nine, tallied},
};
use crate::support::{
    connect, eventually,
    http::series,
    log::{self, lines_of},
    server,
};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "bad.ways.tank.fill", key = tank, reply = u64)]
struct Fill {
    tank: String,
    amount: u64,
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "bad.ways.tank.measure", key = tank, reply = u64)]
struct Measure {
    tank: String,
    amount: u64,
}

async fn fill(Command(fill): Command<Fill>) -> u64 {
    fill.amount
}

async fn measure(Query(measure): Query<Measure>) -> u64 {
    measure.amount
}

async fn ask(client: &Client, subject: &str, body: &[u8]) -> (Message, Value) {
    let answer = client.request(subject.to_owned(), body.to_vec().into());
    let answer = answer.await.unwrap();
    let envelope = serde_json::from_slice(&answer.payload).unwrap();
    (answer, envelope)
}

/// The caller hears the class and what is wrong, as an envelope and by the headers of the services protocol.
fn assert_refused(bad: &Bad, answer: &Message, envelope: &Value) {
    let Bad { key, class, said, .. } = bad;
    assert_eq!(envelope["type"], "error", "{key}: {envelope}");
    let error = &envelope["data"];
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&Value::from(*class), &Value::from(false)),
        "{key}"
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(said), "{key}: {message}");
    let headers = answer.headers.as_ref().unwrap();
    let header = |name: &str| headers.get(name).unwrap().as_str();
    assert_eq!(header("Nats-Service-Error"), message, "{key}");
    assert_eq!(header("Nats-Service-Error-Code"), "422", "{key}");
    assert!(!format!("{answer:?}").contains(CANARY), "{key}");
    assert!(!envelope.to_string().contains(CANARY), "{key}");
}

/// What the log says of it: one line, with its subject.
fn assert_logged(bad: &Bad, subject: &str) {
    let Bad { key, class, said, .. } = bad;
    let lines = lines_of(&format!("{subject}\""));
    let [line] = &lines[..] else {
        panic!("{key}: {lines:?}");
    };
    for part in [
        "message=answered with an error",
        &format!("code=\"{class}\""),
        "error=\"",
        &said.replace('"', "\\\""),
    ] {
        assert!(line.contains(part), "{key}: {line}");
    }
}

#[tokio::test]
async fn each_caller_hears_what_is_wrong_with_his_own_message_and_the_next_is_answered() {
    log::begin();
    let server = server();
    let client = connect(&server).await;
    // A recorder of this test's own: others count on it that the process has none.
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recorder = set_default_local_recorder(&recorder);
    let service = Service::new("tank", "1.0.0").command(fill).query(measure);
    let running = service.start(client.clone()).await.unwrap();
    for (kind, name) in [
        ("command", "bad.ways.tank.fill"),
        ("query", "bad.ways.tank.measure"),
    ] {
        let all = nine(kind);
        for bad in &all {
            let subject = format!("{name}.{}", bad.key);
            let (answer, envelope) = ask(&client, &subject, &bad.body).await;
            if bad.class == "handled" {
                assert_eq!(
                    (&envelope["type"], &envelope["data"]),
                    (&"reply".into(), &1.into())
                );
                assert_eq!(lines_of(&subject), [""; 0]);
            } else {
                assert_refused(bad, &answer, &envelope);
                assert_logged(bad, &subject);
            }
            let (_, envelope) = ask(&client, &format!("{name}.good"), &good(kind)).await;
            assert_eq!(
                (&envelope["type"], &envelope["data"]),
                (&"reply".into(), &2.into())
            );
        }
        let (expected, handler) = (by_class(&all), format!("tank__{name}"));
        assert_eq!(expected.keys().count(), 4, "three classes, and what is handled");
        let now = series(&recorder.handle().render(), "tank");
        assert_metrics(&now, &handler, name, &expected);
        assert_eq!(running.tally()[&handler], tallied(&expected));
        let (all, wrong) = (all.len() * 2, all.len() - 1);
        eventually("the services protocol has the same figures", async || {
            let (_, stats) = ask(&client, "$SRV.STATS.tank", b"").await;
            assert!(!stats.to_string().contains(CANARY));
            let endpoints = stats["endpoints"].as_array().unwrap();
            let dashed = name.replace('.', "-");
            let endpoint = endpoints.iter().find(|endpoint| endpoint["name"] == dashed);
            let count = |what: &str| endpoint.unwrap()[what].as_u64();
            count("num_requests") == u64::try_from(all).ok()
                && count("num_errors") == u64::try_from(wrong).ok()
        })
        .await;
    }
    assert!(!log::lines().iter().any(|line| line.contains(CANARY)));
}
