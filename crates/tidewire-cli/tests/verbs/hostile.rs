//! Text that a terminal would obey, from everywhere that strangers can write: messages, answers, manifests, services, streams and
//! consumers. It is shown as it is read.

use std::fs;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidewire::{
    Connection,
    async_nats::jetstream::{consumer::pull, stream},
    operation::{BreakerView, Done, Operated},
    prelude::*,
};
use tidewire_server::Server;

use crate::{
    run::{Ran, run},
    services::{connect, payments, round_trip, world},
};

/// Retitles the window, turns the text around, and clears the screen.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{202e}gnirts\u{2066}\u{9b}2J";

/// None of it came through, and all of it was there to be shown.
fn assert_harmless(ran: &Ran) {
    let obeyed = |c: char| {
        c != '\n'
            && (c.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c))
    };
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!all.chars().any(obeyed), "{ran:?}");
    for written in [
        ["\\u{1b}", "\\u001b"],
        ["\\u{202e}", "\\u202e"],
        ["\\u{9b}", "\\u009b"],
    ] {
        assert!(
            written.iter().any(|one| all.contains(one)),
            "no {written:?}: {ran:?}"
        );
    }
}

async fn harmless(server: &Server, args: &[&str]) -> Ran {
    let ran = run(server, args).await;
    assert_harmless(&ran);
    ran
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.returns.reason.get", reply = String)]
struct GetReason {
    known: bool,
}

async fn tell(Query(query): Query<GetReason>) -> Result<String, Failure> {
    if query.known {
        Ok(HOSTILE.to_owned())
    } else {
        Err(Failure::decline("unknown", HOSTILE))
    }
}

#[tokio::test]
async fn of_an_answer_and_of_a_refusal() {
    let server = Server::start().unwrap();
    let returns = Service::new("returns", "1.0.0").query(tell);
    let _returns = returns.start(connect(&server).await).await.unwrap();
    for (data, code) in [(r#"{"known":true}"#, 0), (r#"{"known":false}"#, 1)] {
        let ask = ["request", "orders.returns.reason.get", "--data", data];
        for args in [&ask[..], &[&ask[..], &["--json"]].concat()] {
            assert_eq!(harmless(&server, args).await.code, Some(code));
        }
    }
}

#[tokio::test]
async fn of_data_that_does_not_fit() {
    let (server, _running) = world().await;
    let data = json!({ "payment_id": "p-1", "amount": HOSTILE }).to_string();
    for (verb, name) in [
        ("publish", "orders.payments.payment.processed"),
        ("request", "orders.payments.payment.process"),
    ] {
        let ran = harmless(&server, &[verb, name, "p-1", "--data", &data]).await;
        assert!(ran.stderr.contains("nothing was sent"), "{ran:?}");
    }
}

#[tokio::test]
async fn of_a_subject_and_of_headers() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let config = stream::Config {
        name: "PLAIN".into(),
        subjects: vec!["plain.>".into()],
        ..stream::Config::default()
    };
    let js = nats.jetstream();
    js.create_stream(config).await.unwrap();
    let subject = format!("plain.{HOSTILE}");
    let stored = js.publish(subject, format!("text {HOSTILE}").into()).await;
    stored.unwrap().await.unwrap();
    for json in [&[][..], &["--json"]] {
        let tail = ["tail", "plain.>", "--from-start", "--count", "1"];
        let ran = harmless(&server, &[&tail, json].concat()).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

/// Puts `HOSTILE` behind every name that a service gives itself.
fn hostile_manifest() -> Value {
    let mut manifest = serde_json::to_value(payments().manifest().unwrap()).unwrap();
    for field in ["service", "version", "contract"] {
        manifest[field] = json!(HOSTILE);
    }
    manifest["contexts"][0]["stream"] = json!(HOSTILE);
    let durable = json!({ "durable": {
        "consumer": HOSTILE, "filters": ["orders.payments.>", format!("orders.{HOSTILE}")], "start": "beginning",
        "concurrency": 1,
    } });
    let live = json!({ "live": { "filters": ["orders.payments.>"], "queue_group": HOSTILE } });
    for (name, transport) in [("durable", durable), ("live", live)] {
        manifest["handlers"].as_array_mut().unwrap().push(json!({
            "name": format!("{name}{HOSTILE}"), "takes": [], "emits": [HOSTILE], "asks": [], "layers": [HOSTILE],
            "transport": transport,
        }));
    }
    manifest
}

#[tokio::test]
async fn of_a_manifest() {
    let (server, _running) = world().await;
    let bucket = connect(&server).await.jetstream();
    let bucket = bucket.get_key_value("TIDEWIRE_MANIFESTS").await.unwrap();
    let hostile = hostile_manifest();
    bucket.put("evil", hostile.to_string().into()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.json");
    fs::write(
        &file,
        serde_json::to_string(&payments().manifest().unwrap()).unwrap(),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let event = "orders.payments.payment.processed.p-1";
    for (args, code) in [
        (&["manifest", "show"][..], 0),
        (&["manifest", "show", "evil"], 0),
        (&["manifest", "diff", file, "evil"], 1),
        (&["explain", event], 0),
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = harmless(&server, &[args, json].concat()).await;
            assert_eq!(ran.code, Some(code), "{ran:?}");
        }
    }
    // One that is not understood.
    bucket
        .put("evil", format!("{{\"{HOSTILE}\"").into())
        .await
        .unwrap();
    let ran = run(&server, &["manifest", "show", "evil"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{ran:?}");
}

#[tokio::test]
async fn of_streams_and_consumers() {
    let server = Server::start().unwrap();
    let js = connect(&server).await.jetstream();
    let name = "EVIL\u{1b}]0;owned\u{7}\u{202e}gnirts\u{9b}2J";
    let config = |name: &str| stream::Config {
        name: name.into(),
        ..stream::Config::default()
    };
    let evil = stream::Config {
        subjects: vec!["metrics.>".into()],
        ..config(name)
    };
    let stream = js.create_stream(evil).await.unwrap();
    let consumer = pull::Config {
        durable_name: Some(HOSTILE.into()),
        filter_subject: format!("metrics.{HOSTILE}"),
        ..pull::Config::default()
    };
    stream.create_consumer(consumer).await.unwrap();
    let consumer = pull::Config {
        durable_name: Some("all".into()),
        ..pull::Config::default()
    };
    stream.create_consumer(consumer).await.unwrap();
    let copy = stream::Config {
        sources: Some(vec![stream::Source {
            name: name.into(),
            ..stream::Source::default()
        }]),
        ..config(&format!("COPY{name}"))
    };
    js.create_stream(copy).await.unwrap();
    for args in [
        &["lag", "--foreign", "--interval", "10ms"][..],
        &["consumers", "--foreign"],
        &["explain", "metrics.cpu"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = harmless(&server, &[args, json].concat()).await;
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
    }
}

/// Says of itself whatever it likes, and answers operators as it likes.
async fn impostor(nats: Connection, done: Done) {
    let client = nats.client();
    let mut questions = client.subscribe("$SRV.INFO").await.unwrap();
    let mut operators = client.subscribe("tidewire.ops.evil.>").await.unwrap();
    round_trip(&nats).await;
    let info = json!({ "name": "evil", "id": HOSTILE, "version": HOSTILE, "endpoints": [{
        "name": HOSTILE, "subject": "metrics.*", "queue_group": HOSTILE, "metadata": { "tidewire.kind": HOSTILE },
    }] });
    let operated = Operated {
        instance: HOSTILE.into(),
        done,
    };
    let operated = serde_json::to_vec(&operated).unwrap();
    tokio::spawn(async move {
        loop {
            let (question, answer) = tokio::select! {
                Some(question) = questions.next() => (question, info.to_string().into_bytes()),
                Some(question) = operators.next() => (question, operated.clone()),
                else => return,
            };
            let inbox = question.reply.unwrap();
            client.publish(inbox, answer.into()).await.unwrap();
        }
    });
}

#[tokio::test]
async fn of_instances() {
    let breakers = Done::Breakers(vec![BreakerView {
        name: HOSTILE.into(),
        durables: vec![HOSTILE.into()],
        state: serde_json::from_value(json!("closed")).unwrap(),
    }]);
    let said = || vec![HOSTILE.to_owned()];
    for (verb, done, code) in [
        (&["breaker", "evil"][..], breakers, 0),
        (&["breaker", "evil"], Done::Refused(HOSTILE.into()), 1),
        (&["pause", "evil", "ship"], Done::Paused(said()), 0),
        (&["resume", "evil", "ship"], Done::Resumed(said()), 0),
    ] {
        let server = Server::start().unwrap();
        impostor(connect(&server).await, done).await;
        for json in [&[][..], &["--json"]] {
            let ran = harmless(&server, &[verb, json].concat()).await;
            assert_eq!(ran.code, Some(code), "{ran:?}");
            let ran = harmless(&server, &[&["explain", "metrics.cpu"], json].concat()).await;
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
    }
}
