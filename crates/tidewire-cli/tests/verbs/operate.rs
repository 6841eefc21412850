//! `tidewire pause`, `resume` and `breaker`.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tidewire_server::Server;

use crate::{
    run::{Ran, run},
    services::{PaymentProcessed, connect, shipping, world},
};

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
    let instances = tidewire_ops::instances(&nats).await.unwrap();
    let ids: Vec<_> = instances.into_iter().map(|instance| instance.id).collect();
    let stream = nats.jetstream().get_stream("ORDERS__PAYMENTS").await.unwrap();
    let paused = async || {
        stream
            .consumer_info("shipping__ship-on-payment")
            .await
            .unwrap()
            .paused
    };

    let ran = run(&server, &["pause", "shipping", "ship-on-payment", "--for", "10m"]).await;
    assert_snapshot!("operate_pause", without_instances(&ran.shown(&[]), &ids));
    assert!(paused().await);
    let ran = run(&server, &["resume", "shipping", "ship-on-payment"]).await;
    assert_snapshot!("operate_resume", without_instances(&ran.shown(&[]), &ids));
    assert!(!paused().await);

    let ran = run(&server, &["pause", "shipping", "ship"]).await;
    assert_snapshot!("operate_no_durable", without_instances(&ran.shown(&[]), &ids));
    let ran = run(&server, &["pause", "nobody", "ship"]).await;
    assert_snapshot!("operate_nobody", ran.shown(&[]));
}

#[tokio::test]
async fn a_breaker_is_set_by_hand_in_all_instances() {
    let (server, _running) = world().await;
    let _second = shipping().start(connect(&server).await).await.unwrap();
    let nats = connect(&server).await;
    let instances = tidewire_ops::instances(&nats).await.unwrap();
    let ids: Vec<_> = instances.into_iter().map(|instance| instance.id).collect();
    for (what, args) in [
        ("show", &["breaker", "shipping"][..]),
        ("open", &["breaker", "shipping", "ship-on-payment", "open"]),
        ("auto", &["breaker", "shipping", "ship-on-payment", "auto"]),
        ("unknown", &["breaker", "shipping", "gateway", "open"]),
    ] {
        let ran = run(&server, args).await;
        assert_snapshot!(
            format!("operate_breaker_{what}"),
            without_instances(&ran.shown(&[]), &ids)
        );
    }
    let ran = run(&server, &["breaker", "payments"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// What two instances say of their breakers by `--json`: each the same, which is given back.
fn of_both(ran: &Ran) -> Value {
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
    of_both(&run(server, &["breaker", "shipping", "--json"]).await)
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
    assert_eq!(of_both(&run(&server, &open).await), in_state("open"));
    assert_eq!(listed(&server).await, in_state("open"));
    let paid = PaymentProcessed {
        payment_id: "p-1".into(),
        amount: 5,
        note: None,
    };
    payments.bus().publish(&paid).await.unwrap();
    // It stays open until somebody says otherwise, so that this holds whenever it is looked at.
    assert_eq!(handled().await, 0);

    let ran = run(&server, &["breaker", "shipping", "ship-on-payment", "closed"]).await;
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
