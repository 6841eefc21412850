//! `tidewire pause`, `resume` and `breaker`.

use insta::assert_snapshot;

use crate::{
    run::run,
    services::{connect, shipping, world},
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
    let json = run(&server, &["breaker", "payments"]).await;
    assert_eq!(json.code, Some(2), "{json:?}");
}
