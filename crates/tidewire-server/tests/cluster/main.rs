//! Three real nats-servers that form one cluster.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

#[path = "../nats/client.rs"]
mod client;

use std::time::{Duration, Instant};

use client::Client;
use tidewire_server::{Cluster, ServerError};

#[test]
fn three_nodes_elect_a_leader_and_a_killed_one_rejoins_with_its_data() {
    let mut cluster = Cluster::start(3).unwrap();
    let urls = cluster.urls();
    assert_eq!(urls.len(), 3);
    let leader = cluster.leader().expect("ready means that there is one");
    let follower = (leader + 1) % 3;
    Client::connect(&urls[leader]).unwrap().create_stream("a", 3);

    cluster.node_mut(follower).kill().unwrap();
    cluster.wait_ready().unwrap();
    // The stream has a leader of its own, and if that was the victim it takes seconds to elect another.
    let started = Instant::now();
    while Client::connect(&urls[leader])
        .and_then(|mut client| client.publish("a.b", "one is down"))
        .is_err()
    {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "two of three store nothing"
        );
    }

    cluster.node_mut(follower).restart().unwrap();
    cluster.wait_ready().unwrap();
    assert_eq!(cluster.urls(), urls, "the ports are the same");
    // Not exactly one: a publish without an answer may have been stored too.
    assert!(Client::connect(&urls[follower]).unwrap().messages("a") >= Some(1));
}

#[test]
fn when_the_leader_is_killed_the_others_elect_another() {
    let mut cluster = Cluster::start_with(3, |node| node.sync_always(true)).unwrap();
    let first = cluster.leader().unwrap();
    cluster.node_mut(first).kill().unwrap();
    cluster.wait_ready().unwrap();
    let second = cluster.leader().unwrap();
    assert_ne!(first, second);
    Client::connect(&cluster.urls()[second])
        .unwrap()
        .create_stream("a", 2);

    // One of three is no majority.
    let third = 3 - first - second;
    cluster.node_mut(second).kill().unwrap();
    cluster.node_mut(first).restart().unwrap();
    cluster.wait_ready().unwrap();
    cluster.node_mut(third).restart().unwrap();
    cluster.node_mut(second).restart().unwrap();
    cluster.wait_ready().unwrap();
    assert_eq!(
        cluster.nodes().iter().filter(|node| node.pid().is_some()).count(),
        3
    );
}

#[test]
fn a_size_that_makes_no_cluster_is_refused() {
    assert!(matches!(
        Cluster::start(1),
        Err(ServerError::ClusterSize { nodes: 1 })
    ));
    assert!(matches!(
        Cluster::start(10),
        Err(ServerError::ClusterSize { nodes: 10 })
    ));
}
