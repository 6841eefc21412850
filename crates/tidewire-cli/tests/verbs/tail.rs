//! `tidewire tail`.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use tidewire::{
    Connection,
    async_nats::{HeaderMap, jetstream::stream},
};
use tidewire_server::Server;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Child,
    time::timeout,
};

use crate::{
    run::{Ran, on, run},
    services::{connect, round_trip, world},
};

const BOUND: Duration = Duration::from_secs(60);

/// A tail that listens by now.
struct Listening {
    child: Child,
    stderr: String,
}

async fn listen(server: &Server, args: &[&str]) -> Listening {
    let mut child = on(server, args).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    timeout(BOUND, stderr.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    assert!(line.starts_with("tidewire: listening to "), "{line}");
    Listening { child, stderr: line }
}

impl Listening {
    async fn printed(mut self, args: &[&str]) -> Ran {
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().unwrap();
        timeout(BOUND, pipe.read_to_string(&mut stdout))
            .await
            .unwrap()
            .unwrap();
        let status = timeout(BOUND, self.child.wait()).await.unwrap().unwrap();
        Ran::of(args, status.code(), stdout, self.stderr)
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, *value);
    }
    headers
}

/// What other programs send, good and evil, in this order.
async fn send_all(nats: &Connection) {
    let client = nats.client();
    let processed = "orders.payments.payment.processed.p-1";
    let envelope = |id: &str, name: &str, data: serde_json::Value| {
        let body = json!({"type": "event", "id": id, "timestamp": "2026-03-20T10:00:00Z", "data": data,
            "metadata": {"name": name}});
        body.to_string().into()
    };
    let own = "orders.payments.payment.processed";
    let data = json!({"payment_id": "p-1", "amount": 5});
    client
        .publish(processed, envelope("evt_1", own, data))
        .await
        .unwrap();
    let evil = json!({"note": "\u{1b}]0;owned\u{7}\u{202e}gnirts\u{2066}\r\n\u{9b}31m"});
    client
        .publish(processed, envelope("evt_\u{1b}[2J", own, evil))
        .await
        .unwrap();
    let cloud = headers(&[
        ("ce-specversion", "1.0"),
        ("ce-id", "42"),
        ("ce-type", "com.example.cpu"),
        ("ce-source", "/probe"),
        ("ce-time", "2026-03-20T10:00:01Z"),
    ]);
    client
        .publish_with_headers("metrics.cpu", cloud, r#"{"load":0.5}"#.into())
        .await
        .unwrap();
    let structured = json!({"specversion": "1.0", "id": "43", "type": "com.example.cpu", "source": "/probe",
        "time": "2026-03-20T10:00:02Z", "data": {"load": 0.7}});
    let kind = headers(&[("Content-Type", "application/cloudevents+json")]);
    client
        .publish_with_headers("metrics.cpu", kind, structured.to_string().into())
        .await
        .unwrap();
    client
        .publish("plain", "just \u{1b}[31mtext\u{202e}\n".into())
        .await
        .unwrap();
    client
        .publish("plain", vec![0xff, 0x00, 0x1b].into())
        .await
        .unwrap();
    client
        .publish(processed, r#"{"no":"envelope"}"#.into())
        .await
        .unwrap();
    let other = envelope("evt_2", "orders.payments.payment.refunded", json!({}));
    client.publish(processed, other).await.unwrap();
    let long = envelope("evt_3", own, json!({"note": "long ".repeat(40)}));
    client.publish(processed, long).await.unwrap();
    round_trip(nats).await;
}

#[tokio::test]
async fn live_messages_are_decoded_and_what_a_terminal_would_obey_is_escaped() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let args = ["tail", ">", "--count", "9"];
    let json_args = ["tail", ">", "--count", "9", "--json"];
    let (tail, json_tail) = (listen(&server, &args).await, listen(&server, &json_args).await);
    send_all(&nats).await;
    let ran = tail.printed(&args).await;
    assert!(
        !ran.stdout
            .chars()
            .any(|c| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{2069}').contains(&c))),
        "{ran:?}"
    );
    assert_snapshot!("tail", ran.shown(&[]));

    let ran = json_tail.printed(&json_args).await;
    assert!(
        !ran.stdout
            .chars()
            .any(|c| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{2069}').contains(&c))),
        "{ran:?}"
    );
    let lines = ran.json_lines();
    let formats: Vec<_> = lines
        .iter()
        .map(|line| line["format"].as_str().unwrap())
        .collect();
    let (own, raw) = ("tidewire", "raw");
    assert_eq!(
        formats,
        [
            own,
            own,
            "cloud_events_binary",
            "cloud_events_structured",
            raw,
            raw,
            raw,
            own,
            own
        ]
    );
    assert_eq!(
        lines[1]["data"]["note"],
        "\u{1b}]0;owned\u{7}\u{202e}gnirts\u{2066}\r\n\u{9b}31m"
    );
    assert_eq!(lines[2]["headers"]["ce-source"], json!(["/probe"]));
    assert_eq!(lines[4]["text"], "just \u{1b}[31mtext\u{202e}\n");
    assert_eq!(lines[5]["base64"], "/wAb");
}

#[tokio::test]
async fn what_streams_have_comes_first_in_its_order_and_nothing_comes_twice() {
    let (server, _running) = world().await;
    let nats = connect(&server).await;
    let js = nats.jetstream();
    let queue = stream::Config {
        name: "JOBS".into(),
        subjects: vec!["jobs.>".into()],
        retention: stream::RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    js.create_stream(queue).await.unwrap();
    for number in 0..300 {
        let subject = if number % 100 == 0 {
            "jobs.new"
        } else {
            "orders.payments.closed"
        };
        let ack = js
            .publish(subject, format!("stored {number}").into())
            .await
            .unwrap();
        ack.await.unwrap();
    }
    let all = run(&server, &["tail", "*.>", "--from-start", "--count", "300"]).await;
    let told: Vec<_> = all
        .stdout
        .lines()
        .map(|line| line.split("  ").nth(3).unwrap())
        .collect();
    let wanted: Vec<_> = (0..300).map(|number| format!("stored {number}")).collect();
    assert_eq!(told, wanted);

    // The rare subject is far back, and the queue's messages are still there.
    let last = run(
        &server,
        &["tail", "jobs.>", "--last", "2", "--count", "2", "--json"],
    )
    .await;
    let last: Vec<_> = last
        .json_lines()
        .iter()
        .map(|line| (line["stream"].clone(), line["text"].clone()))
        .collect();
    assert_eq!(
        last,
        [100, 200].map(|number| (json!("JOBS"), json!(format!("stored {number}"))))
    );
    let last = run(
        &server,
        &["tail", "orders.payments.closed", "--last", "3", "--count", "3"],
    )
    .await;
    assert!(
        last.stdout.lines().next().unwrap().ends_with("stored 297"),
        "{last:?}"
    );

    let args = ["tail", "orders.payments.closed", "--last", "1", "--count", "3"];
    let tail = listen(&server, &args).await;
    for number in [300, 301] {
        let ack = js
            .publish("orders.payments.closed", format!("stored {number}").into())
            .await
            .unwrap();
        ack.await.unwrap();
    }
    let ran = tail.printed(&args).await;
    let told: Vec<_> = ran
        .stdout
        .lines()
        .map(|line| line.split("  ").nth(3).unwrap())
        .collect();
    assert_eq!(told, ["stored 299", "stored 300", "stored 301"]);

    let names: Vec<_> = futures_util::TryStreamExt::try_collect(
        js.get_stream("ORDERS__PAYMENTS").await.unwrap().consumer_names(),
    )
    .await
    .unwrap();
    assert_eq!(
        names,
        ["shipping__ship-on-payment"],
        "no consumer of ours is left"
    );
}

#[tokio::test]
async fn what_is_sent_while_streams_are_read_comes_once() {
    let (server, _running) = world().await;
    let nats = connect(&server).await;
    let js = nats.jetstream();
    let publishing = async {
        for number in 0..400 {
            let ack = js
                .publish("orders.payments.closed", format!("{number}").into())
                .await
                .unwrap();
            ack.await.unwrap();
        }
    };
    let tailing = run(
        &server,
        &["tail", "orders.payments.closed", "--from-start", "--count", "400"],
    );
    let (ran, ()) = tokio::join!(tailing, publishing);
    let told: Vec<_> = ran
        .stdout
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    let wanted: Vec<_> = (0..400).map(|number| number.to_string()).collect();
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn what_cannot_be_heard_is_said() {
    let users = r#"authorization { timeout: 30, users: [
        { user: all, password: x }
        { user: few, password: x, permissions: { subscribe: { deny: "secret.>" } } }
    ] }"#;
    let server = Server::builder().config(users).jetstream(false).start().unwrap();
    for (what, user, args) in [
        ("subscribe", "few", &["tail", "secret.>"][..]),
        ("filter", "all", &["tail", "orders..>"]),
        ("no_jetstream", "all", &["tail", "orders.>", "--from-start"]),
    ] {
        let mut command = on(&server, args);
        command.env("NATS_USER", user).env("NATS_PASSWORD", "x");
        assert_snapshot!(
            format!("tail_refused_{what}"),
            crate::run::ended(command).await.shown(&[])
        );
    }
}

#[tokio::test]
async fn it_ends_in_silence_when_nobody_reads_any_more() {
    let server = Server::start().unwrap();
    let mut tail = listen(&server, &["tail", "plain"]).await;
    drop(tail.child.stdout.take());
    let nats = connect(&server).await;
    nats.client().publish("plain", "one".into()).await.unwrap();
    round_trip(&nats).await;
    let status = timeout(BOUND, tail.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}
