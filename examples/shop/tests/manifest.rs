//! The contracts of the shop as reviewed files: one that changes unseen fails here.
//!
//! Where a change is meant: `INSTA_UPDATE=always cargo test -p tidewire-shop --test manifest`, and read the difference
//! before it is committed.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use tidewire::Service;
use tidewire_server::Server;
use tidewire_shop::{
    inventory::{self, Stock},
    notifications::{self, Mailbox},
    orders::{self, Orders},
    payments::{self, Gateway},
};

fn review<S: Clone + Send + Sync + 'static>(service: &Service<S>) {
    let manifest = service.manifest().unwrap();
    insta::assert_json_snapshot!(manifest.service.clone(), manifest, { ".version" => "[version]" });
}

#[tokio::test]
async fn the_manifests_are_the_reviewed_ones() {
    let server = Server::start().unwrap();
    let nats = tidewire::connect(server.url()).await.unwrap();
    review(&orders::service(Orders::open(&nats).await.unwrap()));
    review(&inventory::service(Stock::open(&nats).await.unwrap()));
    let gateway = Gateway::open(&nats).await.unwrap();
    review(&payments::service(gateway, &payments::breaker()));
    review(&notifications::service(Mailbox::open(&nats).await.unwrap()));
}
