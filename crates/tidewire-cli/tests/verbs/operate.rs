//! `tidewire pause`, `resume` and `breaker`.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tidewire::Connection;
use tidewire_server::Server;

use crate::{
    run::{Ran, run, whole, within},
    services::{PaymentProcessed, connect, shipping, world},
};

/// The ids of the two instances of shipping.
async fn both(nats: &Connection) -> Vec<String> {
    let mut ids = Vec::new();
    within("both instances answer", async || {
        let running = tidewire_ops::instances(nats).await.unwrap();
        let ours = running.into_iter().filter(|instance| instance.name == "shipping");
        ids = ours.map(|instance| instance.id).collect();
        ids.len() == 2
    })
    .await;
    ids
}

/// A run of which each of these instances tells.
async fn run_in(ids: &[String], server: &Server, args: &[&str]) -> Ran {
    let is_whole = |ran: &Ran| {
        ids.iter()
            .all(|id| ran.stdout.contains(id) || ran.stderr.contains(id))
    };
    whole(is_whole, async || run(server, args).await).await
}

/// The instances' ids differ from run to run.
fn without_instances(text: &str, ids: &[String]) -> String {
    ids.iter()
        .fold(text.to_owned(), |text, id| text.replace(id, "<instance>"))
}

#[tokio::test]
async fn a_durable_is_paused_and_resumed_for_all_instances() {
    let (server, _running) = world().await;
    let _second = shipping().start(connect(&server).await).await.unwrap();
    let nats = connect(&server).await;
    let ids = both(&nats).await;
    let stream = nats.jetstream().get_stream("ORDERS__PAYMENTS").await.unwrap();
    let paused = async || {
        stream
            .consumer_info("shipping__ship-on-payment")
            .await
            .unwrap()
            .paused
    };

    let pause = ["pause", "shipping", "ship-on-payment", "--for", "10m"];
    let ran = run_in(&ids, &server, &pause).await;
    assert_snapshot!("operate_pause", without_instances(&ran.shown(&[]), &ids));
    assert!(paused().await);
    let ran = run_in(&ids, &server, &["resume", "shipping", "ship-on-payment"]).await;
    assert_snapshot!("operate_resume", without_instances(&ran.shown(&[]), &ids));
    assert!(!paused().await);

    let ran = run_in(&ids, &server, &["pause", "shipping", "ship"]).await;
    assert_snapshot!("operate_no_durable", without_instances(&ran.shown(&[]), &ids));
    let ran = run(&server, &["pause", "nobody", "ship"]).await;
    assert_snapshot!("operate_nobody", ran.shown(&[]));
}

#[tokio::test]
async fn a_breaker_is_set_by_hand_in_all_instances() {
    let (server, _running) = world().await;
    let _second = shipping().start(connect(&server).await).await.unwrap();
    let nats = connect(&server).await;
    let ids = both(&nats).await;
    for (what, args) in [
        ("show", &["breaker", "shipping"][..]),
        ("open", &["breaker", "shipping", "ship-on-payment", "open"]),
        ("auto", &["breaker", "shipping", "ship-on-payment", "auto"]),
        ("unknown", &["breaker", "shipping", "gateway", "open"]),
    ] {
        let ran = run_in(&ids, &server, args).await;
        assert_snapshot!(
            format!("operate_breaker_{what}"),
            without_instances(&ran.shown(&[]), &ids)
        );
    }
    let ran = run(&server, &["breaker", "payments"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// A run with a line of each of two instances.
async fn run_in_two(server: &Server, args: &[&str]) -> Ran {
    let is_whole = |ran: &Ran| ran.stdout.lines().count() == 2;
    whole(is_whole, async || run(server, args).await).await
}

/// What two instances say of their breakers by `--json`: each the same, which is given back.
async fn of_both(server: &Server, args: &[&str]) -> Value {
    let ran = run_in_two(server, args).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said = ran.json_lines();
    let [one, other] = &said[..] else {
        panic!("not two instances: {ran:?}");
    };
    assert!(one["instance"].is_string(), "{ran:?}");
    assert_ne!(one["instance"], other["instance"], "{ran:?}");
    assert_eq!(one["breakers"], other["breakers"], "{ran:?}");
    one["breakers"].clone()
}

async fn listed(server: &Server) -> Value {
    of_both(server, &["breaker", "shipping", "--json"]).await
}

/// The one breaker of the service, as it is listed.
fn in_state(state: &str) -> Value {
    json!([{"name": "ship-on-payment", "durables": ["ship-on-payment"], "state": state}])
}

#[tokio::test]
async fn a_breaker_that_was_opened_by_hand_is_closed_by_hand() {
    let (server, [payments, _shipping]) = world().await;
    let _second = shipping().start(connect(&server).await).await.unwrap();
    let js = connect(&server).await.jetstream();
    let stream = js.get_stream("ORDERS__PAYMENTS").await.unwrap();
    let handled = async || {
        let info = stream.consumer_info("shipping__ship-on-payment").await.unwrap();
        info.ack_floor.stream_sequence
    };
    assert_eq!(listed(&server).await, in_state("closed"));

    let open = ["breaker", "shipping", "ship-on-payment", "open", "--json"];
    assert_eq!(of_both(&server, &open).await, in_state("open"));
    assert_eq!(listed(&server).await, in_state("open"));
    let paid = PaymentProcessed {
        payment_id: "p-1".into(),
        amount: 5,
        note: None,
    };
    payments.bus().publish(&paid).await.unwrap();
    // It stays open until somebody says otherwise, so that this holds whenever it is looked at.
    assert_eq!(handled().await, 0);

    let ran = run_in_two(&server, &["breaker", "shipping", "ship-on-payment", "closed"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    let closed = "  ship-on-payment  closed  stops ship-on-payment";
    assert!(lines.iter().all(|line| line.ends_with(closed)), "{ran:?}");
    assert_eq!(listed(&server).await, in_state("closed"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while handled().await == 0 {
        assert!(Instant::now() < deadline, "it is not handled within 60 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
