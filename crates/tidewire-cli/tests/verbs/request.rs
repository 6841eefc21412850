//! `tidewire request`.

use insta::assert_snapshot;
use serde_json::json;
use tidewire_server::Server;

use crate::{
    run::run,
    services::{connect, world},
};

const PROCESS: &str = "orders.payments.payment.process";
const GET: &str = "orders.payments.payment.get";

#[tokio::test]
async fn answers_are_printed_for_people_or_for_programs() {
    let (server, _running) = world().await;
    let paid = r#"{"payment_id":"p-1","amount":7}"#;
    assert_snapshot!(
        "request",
        run(&server, &["request", PROCESS, "p-1", "--data", paid])
            .await
            .shown(&[])
    );
    let ran = run(&server, &["request", PROCESS, "p-1", "--data", paid, "--json"]).await;
    assert_eq!(ran.json()["data"], json!({"payment_id": "p-1", "amount": 7}));
    // A manifest says that it is a query.
    let ran = run(
        &server,
        &["request", GET, "p-1", "--data", r#"{"payment_id":"p-1"}"#],
    )
    .await;
    assert_eq!(ran.json(), json!({"payment_id": "p-1", "amount": 5}));
    let unchecked = [
        "request",
        GET,
        "p-2",
        "--data",
        r#"{"payment_id":"p-2"}"#,
        "--no-check",
        "--query",
    ];
    assert_eq!(run(&server, &unchecked).await.stdout, "null\n");
}

#[tokio::test]
async fn refusals_have_their_code_and_exit_with_one() {
    let (server, _running) = world().await;
    for (what, amount) in [("declined", 13), ("later", 99)] {
        let data = format!(r#"{{"payment_id":"p-1","amount":{amount}}}"#);
        let ran = run(&server, &["request", PROCESS, "p-1", "--data", &data]).await;
        assert_snapshot!(format!("request_refused_{what}"), ran.shown(&[]));
        let ran = run(&server, &["request", PROCESS, "p-1", "--data", &data, "--json"]).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(ran.json()["error"]["retryable"], json!(amount == 99));
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let (server, _running) = world().await;
    for (what, args) in [
        (
            "schema",
            &[PROCESS, "p-1", "--data", r#"{"payment_id":"p-1"}"#][..],
        ),
        ("event", &["orders.payments.closed", "--data", "{}"]),
        ("command_as_query", &[PROCESS, "p-1", "--data", "{}", "--query"]),
    ] {
        let args: Vec<_> = ["request"].iter().chain(args).copied().collect();
        assert_snapshot!(
            format!("request_wrong_{what}"),
            run(&server, &args).await.shown(&[])
        );
    }
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_told_apart() {
    let server = Server::start().unwrap();
    let ask = [
        "request",
        "orders.returns.parcel.get",
        "r-1",
        "--data",
        "{}",
        "--timeout",
    ];
    let for_long = [&ask[..], &["30s"]].concat();
    assert_snapshot!("request_nobody", run(&server, &for_long).await.shown(&[]));
    let nats = connect(&server).await;
    let _silent = nats
        .client()
        .subscribe("orders.returns.parcel.get.*")
        .await
        .unwrap();
    crate::services::round_trip(&nats).await;
    let shortly = [&ask[..], &["1s"]].concat();
    assert_snapshot!("request_no_answer", run(&server, &shortly).await.shown(&[]));
}
