//! The shop on a cluster of three: a server dies under load, and the books balance.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod process;

use std::time::Duration;

use process::{Process, eventually};
use tidewire_server::Cluster;
use tidewire_shop::{books::Books, load::Storefront};

/// An election takes up to eight seconds, and what failed meanwhile is tried again after 1 s, 2 s, 4 s, … On a machine that
/// has much else to do an order may fail seven times, and the next try comes after a minute more.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

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
        let stream = nats.jetstream().get_stream("ORDERS__CHECKOUT").await.unwrap();
        let info = stream.cached_info();
        assert_eq!(info.config.num_replicas, 3);
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
