//! A server that hangs with its connections open: the command says so and ends.

use std::time::Duration;

use futures_util::StreamExt;
use tidewire_server::Server;
use tokio::time::timeout;

use crate::{
    run::{ended, on},
    services::{connect, round_trip},
};

/// Each question has an end after ten seconds.
const BOUND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_verb_that_connects_ends_with_two() {
    let mut server = Server::start().unwrap();
    server.pause().unwrap();
    let url = server.url();
    let event = "orders.payments.payment.processed";
    let verbs = [
        &["lag"][..],
        &["consumers"],
        &["explain", event],
        &["manifest", "show"],
        &["publish", event, "p-1", "--data", "{}"],
        &["request", event, "p-1", "--data", "{}"],
        &["tail", "orders.>"],
        &["dlq", "ls"],
        &["dlq", "replay", "--all", "--yes"],
        &["pause", "payments", "ship"],
        &["breaker", "payments"],
        &["bench", "--yes"],
    ];
    let all = verbs.map(|args| ended(on(&server, args)));
    for ran in futures_util::future::join_all(all).await {
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_eq!(ran.stdout, "", "{ran:?}");
        let said = format!("tidewire: cannot connect to {url}: timed out; is a nats-server running there?");
        assert!(ran.stderr.starts_with(&said), "{ran:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_in_the_middle_is_told_of() {
    let mut server = Server::start().unwrap();
    let nats = connect(&server).await;
    let mut asked = nats.client().subscribe("$JS.API.STREAM.LIST").await.unwrap();
    round_trip(&nats).await;
    let running = tokio::spawn(ended(on(&server, &["lag", "--interval", "2s"])));
    timeout(BOUND, asked.next()).await.unwrap().unwrap();
    server.pause().unwrap();
    let ran = running.await.unwrap();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.starts_with("tidewire: cannot list the streams: ") && ran.stderr.contains("10s"),
        "{ran:?}"
    );
}
