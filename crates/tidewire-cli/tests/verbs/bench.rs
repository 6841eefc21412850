//! `tidewire bench`.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tidewire::Connection;

use crate::{
    run::{ended_within, on, run},
    services::{connect, world},
};

/// The streams of the benchmarks.
async fn streams(nats: &Connection) -> Vec<String> {
    let js = nats.jetstream();
    let mut names: Vec<String> = js.stream_names().try_collect().await.unwrap();
    names.retain(|name| name.contains("BENCH"));
    names
}

#[tokio::test]
async fn what_is_measured_is_a_line_each_and_its_streams_are_gone() {
    let (server, _running) = world().await;
    let nats = connect(&server).await;
    let measuring = on(
        &server,
        &[
            "bench",
            "--small",
            "--only",
            "ask-1,publish,consume-64,latency",
            "--json",
        ],
    );
    // So many messages take a busy machine longer than other verbs.
    let ran = ended_within(Duration::from_secs(120), measuring).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let workloads: Vec<_> = lines
        .iter()
        .filter_map(|line| line["workload"].as_str())
        .collect();
    assert_eq!(workloads, ["ask-1", "publish", "consume-64", "latency"]);
    for line in &lines {
        assert!(line["rate"].as_f64().unwrap() > 0.0, "{line}");
        let is_timed = matches!(line["workload"].as_str(), Some("ask-1" | "latency"));
        assert_eq!(line.get("p99").is_some(), is_timed, "{line}");
    }
    assert_eq!(streams(&nats).await, Vec::<String>::new());

    let ran = run(&server, &["bench", "--only", "fast"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("there is no workload `fast`"), "{ran:?}");
}

#[tokio::test]
async fn what_was_made_is_removed_after_an_interrupt_too() {
    let (server, _running) = world().await;
    let nats = connect(&server).await;
    let mut child = on(&server, &["bench", "--only", "consume-64"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while streams(&nats).await.is_empty() {
        assert!(Instant::now() < deadline, "no stream within 60 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    kill_process(id.unwrap(), Signal::INT).unwrap();
    let status = child.wait().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(streams(&nats).await, Vec::<String>::new());
}
