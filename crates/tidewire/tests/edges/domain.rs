//! A service on a leaf node without JetStream, whose streams are in the domain of the hub.

use tidewire::{Connect, Context};
use tidewire_server::Server;

use crate::support::{
    PAYMENTS, PaymentFailed, Seen, WELL_WITHIN, cashier, payments, process, processed, shipping, stored,
    till, within,
};

/// Where the hub waits for leaf nodes.
fn leaf_port(hub: &Server) -> String {
    let log = hub.log().unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("Listening for leafnode connections"))
        .unwrap();
    line.rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_service_behind_a_jetstream_domain() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Server::builder()
        .config(format!(
            "jetstream {{ domain: hub, store_dir: {:?} }}",
            folder.path()
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
    let connect = Connect::to(leaf.url()).jetstream_domain("hub");
    let nats = connect.connect().await.unwrap();
    within(WELL_WITHIN, "the hub is heard through the leaf", async || {
        nats.jetstream().query_account().await.is_ok()
    })
    .await;
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
    let at_hub = tidewire::connect(hub.url()).await.unwrap();
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
