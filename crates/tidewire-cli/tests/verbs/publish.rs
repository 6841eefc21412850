//! `tidewire publish`.

use std::{fs, time::Duration};

use futures_util::StreamExt;
use insta::assert_snapshot;
use serde_json::json;
use tidewire::{Connect, async_nats::jetstream::stream};
use tidewire_server::Server;
use tokio::time::timeout;

use crate::{
    letters::connected,
    run::{Ran, ended, on, run, run_with_input, whole, within},
    services::{connect, world},
};

const PROCESSED: &str = "orders.payments.payment.processed";
const PAID: &str = r#"{"payment_id":"p.1","amount":7}"#;

#[tokio::test]
async fn an_event_is_stored_with_everything_that_a_service_would_write() {
    let (server, _running) = world().await;
    let ran = run(
        &server,
        &[
            "publish",
            PROCESSED,
            "p.1",
            "--data",
            PAID,
            "-H",
            "x-tenant: acme",
        ],
    )
    .await;
    assert_snapshot!("publish", ran.shown(&[]));
    let stream = connect(&server)
        .await
        .jetstream()
        .get_stream("ORDERS__PAYMENTS")
        .await
        .unwrap();
    let stored = stream.direct_get(1).await.unwrap();
    assert_eq!(stored.subject.as_str(), "orders.payments.payment.processed.p=2E1");
    let header = |name: &str| stored.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("x-tenant").as_deref(), Some("acme"));
    assert_eq!(header("Tw-Version").as_deref(), Some("2"));
    let body: serde_json::Value = serde_json::from_slice(&stored.payload).unwrap();
    assert_eq!(body["data"], json!({"payment_id": "p.1", "amount": 7}));
    assert_eq!(body["metadata"]["key"], "p.1");
    assert_eq!(header("Nats-Msg-Id"), body["id"].as_str().map(Into::into));

    let ran = run(&server, &["publish", PROCESSED, "p.1", "--data", PAID, "--json"]).await;
    let json = ran.json();
    assert_eq!(
        (&json["stream"], &json["sequence"]),
        (&json!("ORDERS__PAYMENTS"), &json!(2))
    );
    assert_eq!(json["checked_against"], json!(["payments", "shipping"]));
}

#[tokio::test]
async fn data_comes_from_a_file_or_from_standard_input_too() {
    let (server, _running) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paid.json");
    fs::write(&file, PAID).unwrap();
    let data = format!("@{}", file.display());
    let ran = run(&server, &["publish", PROCESSED, "p.1", "--data", &data]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run_with_input(&server, &["publish", PROCESSED, "p.1", "--data", "-"], PAID).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("in ORDERS__PAYMENTS at 2 "), "{ran:?}");
    let ran = run(&server, &["publish", PROCESSED, "p.1", "--data", "@nowhere.json"]).await;
    assert_snapshot!("publish_no_file", ran.shown(&[]));
}

#[tokio::test]
async fn cloud_events_are_written_as_the_binding_says() {
    let (server, _running) = world().await;
    let stream = connect(&server)
        .await
        .jetstream()
        .get_stream("ORDERS__PAYMENTS")
        .await
        .unwrap();
    for (sequence, format) in [(1, "cloudevents-binary"), (2, "cloudevents-structured")] {
        let ran = run(
            &server,
            &["publish", PROCESSED, "p.1", "--data", PAID, "--format", format],
        )
        .await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let stored = stream.direct_get(sequence).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&stored.payload).unwrap();
        if sequence == 1 {
            let name = stored
                .headers
                .get("ce-type")
                .map(|value| value.as_str().to_owned());
            assert_eq!((name.as_deref(), &body["amount"]), (Some(PROCESSED), &json!(7)));
        } else {
            assert_eq!(
                (&body["type"], &body["data"]["amount"]),
                (&json!(PROCESSED), &json!(7))
            );
        }
    }
}

#[tokio::test]
async fn what_no_service_would_take_is_not_sent() {
    let (server, _running) = world().await;
    for (what, args) in [
        (
            "schema",
            &[PROCESSED, "p-1", "--data", r#"{"payment_id":7,"amount":-1}"#][..],
        ),
        (
            "unkeyed",
            &["orders.payments.closed", "p-1", "--data", r#"{"day":"monday"}"#],
        ),
        ("key_missing", &[PROCESSED, "--data", PAID]),
        (
            "command",
            &["orders.payments.payment.process", "p-1", "--data", PAID],
        ),
        ("grammar", &["orders.Payments.payment.processed", "--data", PAID]),
        ("key_too_long", &[PROCESSED, &"k".repeat(129), "--data", PAID]),
        ("no_json", &[PROCESSED, "p-1", "--data", "{payment_id:"]),
        (
            "header",
            &[PROCESSED, "p-1", "--data", PAID, "-H", "Nats-Msg-Id: 1"],
        ),
    ] {
        let args: Vec<_> = ["publish"].iter().chain(args).copied().collect();
        let ran = run(&server, &args).await;
        assert_snapshot!(
            format!("publish_refused_{what}"),
            ran.shown(&[(&"k".repeat(129), "kkk…")])
        );
    }
    let stream = connect(&server)
        .await
        .jetstream()
        .get_stream("ORDERS__PAYMENTS")
        .await
        .unwrap();
    assert_eq!(stream.cached_info().state.messages, 0);
    let ran = run(
        &server,
        &["publish", PROCESSED, "p-1", "--data", "7", "--no-check"],
    )
    .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn an_event_that_nobody_keeps_is_named_with_its_context() {
    let (server, _running) = world().await;
    let client = connect(&server).await.client();
    let mut heard = client.subscribe("orders.returns.>").await.unwrap();
    client.flush().await.unwrap();
    let args = [
        "publish",
        "orders.returns.parcel.received",
        "r-1",
        "--data",
        "{}",
        "--timeout",
        "2s",
    ];
    let mut last = None;
    // Where the server is late to say what its streams capture, it is sent, and the server says what becomes of it.
    within("it is told, and nothing is sent", async || {
        let ran = run(&server, &args).await;
        let is_told = ran.stderr.contains("no stream stored");
        last = Some(ran);
        // Had it been sent, it would come before this.
        let mark = "orders.returns.mark";
        client.publish(mark, "".into()).await.unwrap();
        let first = timeout(Duration::from_secs(60), heard.next()).await;
        let nothing_is_sent = first.unwrap().unwrap().subject.as_str() == mark;
        if !nothing_is_sent {
            let second = timeout(Duration::from_secs(60), heard.next()).await;
            assert_eq!(second.unwrap().unwrap().subject.as_str(), mark);
        }
        is_told && nothing_is_sent
    })
    .await;
    assert_snapshot!("publish_unknown_stream", last.unwrap().shown(&[]));
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let users = r#"authorization { timeout: 30, users: [
        { user: all, password: x }
        { user: reader, password: x, permissions: { publish: { deny: "orders.>" }, subscribe: ">" } }
        { user: blind, password: x, permissions: { publish: { deny: ["$JS.API.STREAM.INFO.KV_TIDEWIRE_MANIFESTS"] } } }
    ] }"#;
    let server = Server::builder().config(users).start().unwrap();
    is_refused(&server, "blind", "30s", &[]).await;
    is_refused(&server, "blind", "1s", &["--no-check"]).await;
    // Where nobody would store it, that is what is named.
    let all = connected(Connect::to(server.url()).user("all", "x")).await;
    let kept = stream::Config {
        name: "ORDERS__PAYMENTS".into(),
        subjects: vec!["orders.payments.>".into()],
        ..Default::default()
    };
    all.jetstream().create_stream(kept).await.unwrap();
    is_refused(&server, "reader", "30s", &[]).await;
}

async fn is_refused(server: &Server, user: &str, within: &str, also: &[&str]) {
    let args = ["publish", PROCESSED, "p-1", "--data", "{}", "--timeout", within];
    let args: Vec<_> = args.iter().chain(also).copied().collect();
    // A server that said nothing in that time is asked again.
    let is_told =
        |ran: &Ran| ran.stderr.contains("may not publish") || ran.stderr.contains("no stream stored");
    let ran = whole(is_told, async || {
        let mut command = on(server, &args);
        command.env("NATS_USER", user).env("NATS_PASSWORD", "x");
        ended(command).await
    })
    .await;
    let name = format!("publish_not_permitted_{user}_{}", also.len());
    assert_snapshot!(name, ran.shown(&[]));
}
