//! A service on a leaf node without JetStream, whose streams are in the domain of the hub.

use serde_json::json;
use tempfile::TempDir;
use tidewire::{Connect, Connection, Context};
use tidewire_server::Server;

use crate::{
    contexts::{what_a_context_says, what_it_says},
    support::{
        PAYMENTS, PaymentFailed, Seen, WELL_WITHIN, cashier, connect_to, connected, payments, process,
        processed, shipping, stored, till, within,
    },
};

/// A leaf node without JetStream, and the hub that has the domain `hub`.
pub(crate) struct Nodes {
    pub(crate) leaf: Server,
    pub(crate) hub: Server,
    _folder: TempDir,
}

impl Nodes {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = Server::builder()
            .config(format!(
                "jetstream {{ domain: hub, store_dir: \"{}\" }}",
                folder.path().display()
            ))
            .config("leafnodes { listen: \"127.0.0.1:-1\" }")
            .start()
            .unwrap();
        let remote = format!("nats-leaf://127.0.0.1:{}", leaf_port(&hub));
        let leaf = Server::builder()
            .jetstream(false)
            .config(format!("leafnodes {{ remotes: [{{ url: \"{remote}\" }}] }}"))
            .start()
            .unwrap();
        Self {
            leaf,
            hub,
            _folder: folder,
        }
    }

    async fn at_hub(&self) -> Connection {
        connect_to(self.hub.url()).await
    }
}

/// Where the hub waits for leaf nodes.
fn leaf_port(hub: &Server) -> String {
    let log = hub.log().unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("Listening for leafnode connections"))
        .unwrap();
    line.rsplit(':').next().unwrap().to_owned()
}

/// Connects to the leaf node, and waits until it hears the hub.
pub(crate) async fn hears_the_hub(connect: Connect) -> Connection {
    let nats = connected(connect).await;
    within(WELL_WITHIN, "the hub is heard through the leaf", async || {
        nats.jetstream().query_account().await.is_ok()
    })
    .await;
    nats
}

/// Services that connect so to the leaf node do all that they do elsewhere.
async fn all_goes_well(nodes: &Nodes, connect: Connect) {
    let nats = hears_the_hub(connect).await;
    let seen = Seen::default();
    // The stream is made under a lease, and added to under a lease.
    let payments = payments().start(nats.clone()).await.unwrap();
    tidewire::Service::new("refunds", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentFailed>()
        .start(nats.clone())
        .await
        .unwrap();
    let shipping = shipping(&seen).start(nats.clone()).await.unwrap();
    let cashier = cashier(&seen).start(nats.clone()).await.unwrap();
    payments.bus().publish(&processed("event")).await.unwrap();
    let till = till().start(nats.clone()).await.unwrap();
    till.bus().ask(&process("command")).await.unwrap();
    within(WELL_WITHIN, "it is handled", async || {
        seen.has("event") && seen.has("command")
    })
    .await;
    // All of it is in the hub, and settled there.
    let at_hub = nodes.at_hub().await;
    assert_eq!(stored(&at_hub, PAYMENTS).await, 1);
    let stream = at_hub.jetstream().get_stream(PAYMENTS).await.unwrap();
    within(WELL_WITHIN, "it is acked", async || {
        let info = stream.consumer_info("shipping__note").await.unwrap();
        info.ack_floor.stream_sequence == 1
    })
    .await;
    for running in [payments, shipping, cashier, till] {
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_service_behind_a_jetstream_domain() {
    let nodes = Nodes::start();
    let connect = Connect::to(nodes.leaf.url()).jetstream_domain("hub");
    all_goes_well(&nodes, connect).await;
}

#[tokio::test]
async fn a_service_behind_the_prefix_of_an_api() {
    let nodes = Nodes::start();
    let connect = Connect::to(nodes.leaf.url()).jetstream_api_prefix("$JS.hub.API");
    all_goes_well(&nodes, connect).await;
}

#[tokio::test]
async fn a_variable_and_contexts_that_name_a_domain() {
    let nodes = Nodes::start();
    let url = nodes.leaf.url();
    drop(hears_the_hub(Connect::to(&url).jetstream_domain("hub")).await);
    // Without it the leaf node has no JetStream.
    let said = what_a_context_says(&json!({ "url": url }), &[]);
    assert!(said.contains("nobody answers `$JS.API."), "{said}");
    let empty = tempfile::tempdir().unwrap();
    let said = what_it_says(&[
        ("XDG_CONFIG_HOME", empty.path().to_str().unwrap()),
        ("NATS_URL", &url),
        ("NATS_JS_DOMAIN", "hub"),
    ]);
    assert!(said.contains("works with"), "{said}");
    for context in [
        json!({ "url": url, "jetstream_domain": "hub" }),
        json!({ "url": url, "jetstream_api_prefix": "$JS.hub.API" }),
    ] {
        let said = what_a_context_says(&context, &[]);
        assert!(said.contains("works with"), "{context}: {said}");
    }
    // Each of the three has published once.
    assert_eq!(stored(&nodes.at_hub().await, PAYMENTS).await, 3);
}
