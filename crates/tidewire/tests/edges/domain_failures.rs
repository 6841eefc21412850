//! What fails behind a JetStream domain is run again, kept and told of as anywhere else.

use tidewire::Connect;

use crate::{
    domain::{Nodes, hears_the_hub},
    failing,
    support::{PAYMENTS, Seen, connect_to, payments, stored},
};

#[tokio::test]
async fn what_fails_behind_a_jetstream_domain() {
    let nodes = Nodes::start();
    let nats = hears_the_hub(Connect::to(nodes.leaf.url()).jetstream_domain("hub")).await;
    let seen = Seen::default();
    let payments = payments().start(nats.clone()).await.unwrap();
    let cashier = failing::cashier(&seen).start(nats).await.unwrap();
    // The letter and the error events are in the hub.
    let at_hub = connect_to(nodes.hub.url()).await;
    failing::both_come_to_their_ends(&payments.bus(), &at_hub, &seen).await;
    assert_eq!(stored(&at_hub, PAYMENTS).await, 2);
    cashier.stop().await.unwrap();
    payments.stop().await.unwrap();
}
