//! The shop on a cluster of three: a server dies under load, and the books balance.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod process;

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use process::{Process, eventually};
use tidewire::{Connection, async_nats::jetstream::stream};
use tidewire_server::Cluster;
use tidewire_shop::{books::Books, load::Storefront};

/// An election takes up to eight seconds, and what failed meanwhile is tried again after 1 s, 2 s, 4 s, … On a machine that
/// has much else to do an order may fail seven times, and the next try comes after a minute more.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);
/// A service writes its manifest once it has started, and the first may be one without streams.
const REPLICATED_WITHIN: Duration = Duration::from_secs(60);

/// What the shop stands on: its streams, the buckets of its services, and what Tidewire keeps for them.
const STREAMS: [&str; 19] = [
    "ORDERS__CHECKOUT",
    "ORDERS__PAYMENTS",
    "INVENTORY__STOCK",
    "KV_SHOP_ORDERS",
    "KV_SHOP_SHELVES",
    "KV_SHOP_RESERVATIONS",
    "KV_SHOP_CHARGES",
    "KV_SHOP_GATEWAY",
    "KV_SHOP_NOTIFICATIONS",
    "TW_ORDERS",
    "TW_PAYMENTS",
    "TW_NOTIFICATIONS",
    "KV_TW_ORDERS_RUNS",
    "KV_TW_PAYMENTS_RUNS",
    "KV_TW_NOTIFICATIONS_RUNS",
    "KV_TIDEWIRE_LEASES",
    "KV_TIDEWIRE_MANIFESTS",
    "TIDEWIRE_DLQ",
    "TIDEWIRE_ERRORS",
];

/// Waits until each stream, and so each bucket, is there and has three replicas: some are made by the service that starts last.
async fn all_have_three_replicas(nats: &Connection) {
    let deadline = Instant::now() + REPLICATED_WITHIN;
    loop {
        let streams: Vec<stream::Info> = nats.jetstream().streams().try_collect().await.unwrap();
        let of = |stream: &stream::Info| (stream.config.name.clone(), stream.config.num_replicas);
        let found: Vec<_> = streams.iter().map(of).collect();
        let is_there = |name: &&str| found.iter().any(|(found, _)| found == name);
        if STREAMS.iter().all(is_there) && found.iter().all(|(_, replicas)| *replicas == 3) {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_of_a_cluster_is_killed_and_the_books_balance() {
    let mut cluster = Cluster::start(3).unwrap();
    let url = cluster.url();
    let services = [
        env!("CARGO_BIN_EXE_orders"),
        env!("CARGO_BIN_EXE_inventory"),
        env!("CARGO_BIN_EXE_payments"),
        env!("CARGO_BIN_EXE_notifications"),
    ];
    let services = services.map(|program| Process::start_with(program, &url, &[("SHOP_REPLICAS", "3")]));
    let nats = tidewire::connect(&url).await.unwrap();
    let storefront = Storefront::open(nats.clone()).await.unwrap();
    let ledger = storefront.ledger().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let load = storefront.place_orders(15, None, async { drop(stopped.await) });
    let kill_the_leader = async {
        eventually("orders end", || ledger.figures().finished > 30).await;
        all_have_three_replicas(&nats).await;
        let stream = nats.jetstream().get_stream("ORDERS__CHECKOUT").await.unwrap();
        let info = stream.cached_info();
        let leader = info
            .cluster
            .as_ref()
            .and_then(|cluster| cluster.leader.clone())
            .unwrap();
        let leader: usize = leader.trim_start_matches("node-").parse().unwrap();
        cluster.node_mut(leader).kill().unwrap();
        let before = ledger.figures().finished;
        eventually("orders end again", || ledger.figures().finished > before + 30).await;
        drop(stop);
    };
    tokio::join!(load, kill_the_leader);

    // A payment that failed five times, which it may where the gateway and the bucket fail, is a dead letter: the books
    // know which.
    let open = storefront.settle(SETTLED_WITHIN).await;
    let books = Books::once_balanced(&nats, &ledger, SETTLED_WITHIN)
        .await
        .unwrap();
    assert!(books.balance(), "{open} orders are open, {books:#?}");
    for service in services {
        let ended = service.stop().await;
        assert!(ended.success(), "{ended}");
    }
    storefront.close().await.unwrap();
}
