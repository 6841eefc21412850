//! A server that hangs with its connections open: the command says so and ends.

use std::time::Duration;

use tidewire_server::Server;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use crate::run::{ended, on};

/// Each question has an end after ten seconds.
const BOUND: Duration = Duration::from_secs(60);

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
    // It looks again and again, so that a question is under way, or the next, whenever the server is stopped.
    let mut child = on(&server, &["lag", "--watch=20ms"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
    server.pause().unwrap();
    let output = timeout(BOUND, child.wait_with_output()).await.unwrap().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.starts_with("tidewire: cannot list the streams: ") && stderr.contains("10s"),
        "{stderr}"
    );
}
