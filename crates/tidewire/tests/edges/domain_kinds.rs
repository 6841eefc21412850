//! Each kind of handler in a service on a leaf node without JetStream, behind the domain of its hub.

use tidewire::Connect;

use crate::{
    domain::{Nodes, hears_the_hub},
    kinds::{self, Place},
};

/// Runs this on the leaf node: all that it makes and stores is in the hub.
async fn goes_well(kind: impl AsyncFnOnce(&Place)) {
    let nodes = Nodes::start();
    let nats = hears_the_hub(Connect::to(nodes.leaf.url()).jetstream_domain("hub")).await;
    kind(&Place::new(nats.clone(), nats)).await;
}

#[tokio::test]
async fn a_live_handler_and_what_is_asked_behind_a_jetstream_domain() {
    goes_well(kinds::it_hears_and_asks).await;
}

#[tokio::test]
async fn durable_commands_behind_a_jetstream_domain() {
    goes_well(kinds::it_works_commands_and_sends_them).await;
}

#[tokio::test]
async fn one_effect_for_one_message_behind_a_jetstream_domain() {
    goes_well(kinds::it_has_one_effect).await;
}

#[tokio::test]
async fn a_batch_behind_a_jetstream_domain() {
    goes_well(kinds::it_handles_a_batch).await;
}

#[tokio::test]
async fn data_in_the_object_store_behind_a_jetstream_domain() {
    goes_well(kinds::it_stores_data_and_reads_it).await;
}

#[tokio::test]
async fn a_durable_that_is_ordered_by_key_behind_a_jetstream_domain() {
    goes_well(kinds::it_keeps_the_order_of_keys).await;
}

#[tokio::test]
async fn a_letter_that_is_replayed_behind_a_jetstream_domain() {
    goes_well(kinds::it_handles_a_letter_again).await;
}
