//! What fails behind a JetStream domain is run again, kept and told of as anywhere else.

use tempfile::TempDir;
use tidewire::{Connect, Connection};
use tidewire_server::Server;

use crate::{
    failing,
    support::{PAYMENTS, Seen, WELL_WITHIN, payments, stored, within},
};

/// A hub that has JetStream, and a leaf node that has none.
struct Domain {
    leaf: Server,
    hub: Server,
    _folder: TempDir,
}

impl Domain {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = Server::builder()
            .config(format!(
                "jetstream {{ domain: hub, store_dir: {:?} }}",
                folder.path()
            ))
            .config("leafnodes { listen: \"127.0.0.1:-1\" }")
            .start()
            .unwrap();
        let log = hub.log().unwrap();
        let line = log
            .lines()
            .find(|line| line.contains("Listening for leafnode connections"))
            .unwrap();
        let port = line.rsplit(':').next().unwrap();
        let remote = format!("nats-leaf://127.0.0.1:{port}");
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

    /// A connection to the leaf node, once the hub is heard through it.
    async fn connect(&self) -> Connection {
        let connect = Connect::to(self.leaf.url()).jetstream_domain("hub");
        let nats = connect.connect().await.unwrap();
        within(WELL_WITHIN, "the hub is heard through the leaf", async || {
            nats.jetstream().query_account().await.is_ok()
        })
        .await;
        nats
    }
}

#[tokio::test]
async fn what_fails_behind_a_jetstream_domain() {
    let domain = Domain::start();
    let nats = domain.connect().await;
    let seen = Seen::default();
    let payments = payments().start(nats.clone()).await.unwrap();
    let cashier = failing::cashier(&seen).start(nats).await.unwrap();
    // The letter and the error events are in the hub.
    let at_hub = tidewire::connect(domain.hub.url()).await.unwrap();
    failing::both_come_to_their_ends(&payments.bus(), &at_hub, &seen).await;
    assert_eq!(stored(&at_hub, PAYMENTS).await, 2);
    cashier.stop().await.unwrap();
    payments.stop().await.unwrap();
}
