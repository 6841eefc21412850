//! A cluster of three nodes that loses the one that leads, or the one that the client is connected to.

use std::time::{Duration, Instant};

use tidewire::{Connection, prelude::*};
use tidewire_server::Cluster;

use crate::support::{
    COMES_WITHIN, Log, PAYMENTS, PaymentFailed, PaymentProcessed, Seen, WELL_WITHIN, connect_to, processed,
    soon, stream, within,
};

/// How long it takes, on a busy machine, until all have another leader and the work goes on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(60);

async fn three_nodes() -> (Cluster, Connection) {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(3)).await;
    let cluster = cluster.unwrap().unwrap();
    let nats = connect_to(cluster.url()).await;
    (cluster, nats)
}

/// Kills the node that leads the stream.
async fn kill_leader(cluster: &mut Cluster, nats: &Connection) {
    let leader = stream(nats, PAYMENTS).await.cluster.unwrap().leader.unwrap();
    kill(cluster, &leader);
}

fn kill(cluster: &mut Cluster, name: &str) {
    let node: usize = name.trim_start_matches("node-").parse().unwrap();
    cluster.node_mut(node).kill().unwrap();
}

/// The node that the client is connected to, by name.
fn own_node(nats: &Connection) -> String {
    nats.client().server_info().server_name
}

async fn note(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
}

/// Publishes, and again where an election outlasts the time of a publish, as it may on a busy machine.
async fn stores(bus: &Bus, event: &PaymentProcessed) {
    let began = Instant::now();
    while let Err(error) = soon(GOES_ON_WITHIN, "it ends", bus.publish(event)).await {
        assert!(began.elapsed() < GOES_ON_WITHIN, "{error}");
    }
}

fn replicated() -> Context {
    Context::new("orders.payments").replicas(3)
}

fn noting(seen: &Seen) -> Service<Seen> {
    Service::new("payments", "1.0.0")
        .state(seen.clone())
        .context(replicated())
        .publishes::<PaymentProcessed>()
        .on(durable("note", note))
}

#[tokio::test]
async fn a_cluster_that_loses_the_node_that_leads() {
    let (mut cluster, nats) = three_nodes().await;
    let seen = Seen::default();
    let service = noting(&seen).start(nats.clone()).await.unwrap();
    let bus = service.bus();
    bus.publish(&processed("before")).await.unwrap();
    within(WELL_WITHIN, "it is handled", async || seen.has("before")).await;
    kill_leader(&mut cluster, &nats).await;
    let publishes = async {
        for number in 0..20 {
            stores(&bus, &processed(format!("after-{number}"))).await;
        }
        within(GOES_ON_WITHIN, "all are handled", async || seen.has("after-19")).await;
    };
    // A service that adds to the stream starts now, too.
    let more = Service::new("refunds", "1.0.0")
        .context(replicated())
        .publishes::<PaymentFailed>();
    let starts = soon(2 * GOES_ON_WITHIN, "it starts", more.start(nats.clone()));
    let ((), more) = tokio::join!(publishes, starts);
    more.unwrap();
    let leases = stream(&nats, "KV_TIDEWIRE_LEASES").await;
    assert_eq!(leases.config.num_replicas, 3, "they outlive a node as well");
}

/// The other two are the cure: the client finds one of them by itself.
#[tokio::test]
async fn a_cluster_that_loses_the_node_that_the_client_is_connected_to() {
    let (log, _guard) = Log::listen();
    let (mut cluster, nats) = three_nodes().await;
    let seen = Seen::default();
    let service = noting(&seen).start(nats.clone()).await.unwrap();
    let bus = service.bus();
    bus.publish(&processed("before")).await.unwrap();
    within(WELL_WITHIN, "it is handled", async || seen.has("before")).await;
    log.forget();
    let lost = own_node(&nats);
    kill(&mut cluster, &lost);
    log.says(COMES_WITHIN, "the connection to NATS is lost").await;
    for number in 0..20 {
        stores(&bus, &processed(format!("after-{number}"))).await;
    }
    within(GOES_ON_WITHIN, "all are handled", async || {
        (0..20).all(|number| seen.has(&format!("after-{number}")))
    })
    .await;
    assert_ne!(own_node(&nats), lost);
}

async fn book(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    // Some are in hand whenever the node dies.
    tokio::time::sleep(Duration::from_millis(5)).await;
    seen.note(format!("{}/{}", paid.payment_id, paid.note));
}

/// Its lease, its consumer and its stream all have to find another leader.
#[tokio::test]
async fn a_durable_that_is_ordered_by_key_keeps_its_order() {
    const KEYS: usize = 8;
    const EACH: usize = 40;
    let (mut cluster, nats) = three_nodes().await;
    let seen = Seen::default();
    let ledger = Service::new("ledger", "1.0.0")
        .state(seen.clone())
        .context(replicated())
        .publishes::<PaymentProcessed>()
        .on(durable("book", book).ordered_by_key().concurrency(4));
    let ledger = ledger.start(nats.clone()).await.unwrap();
    let bus = ledger.bus();
    let half = seen.clone();
    let publishes = async {
        for number in 0..EACH {
            for key in 0..KEYS {
                let mut event = processed(format!("k{key}"));
                event.note = number.to_string();
                stores(&bus, &event).await;
            }
        }
    };
    let kill = async {
        within(GOES_ON_WITHIN, "some are handled", async || {
            half.len() > KEYS * EACH / 4
        })
        .await;
        kill_leader(&mut cluster, &nats).await;
    };
    tokio::join!(publishes, kill);
    within(2 * GOES_ON_WITHIN, "all are handled", async || {
        (0..KEYS).all(|key| seen.has(&format!("k{key}/{}", EACH - 1)))
    })
    .await;
    let all = seen.all();
    for key in 0..KEYS {
        let prefix = format!("k{key}/");
        let numbers = all.iter().filter_map(|seen| seen.strip_prefix(&prefix));
        let mut first_runs: Vec<usize> = Vec::new();
        for number in numbers.map(|number| number.parse().unwrap()) {
            if !first_runs.contains(&number) {
                first_runs.push(number);
            }
        }
        assert_eq!(first_runs, (0..EACH).collect::<Vec<_>>(), "of {prefix}");
    }
}
