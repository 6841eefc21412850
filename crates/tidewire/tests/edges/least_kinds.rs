//! Each kind of handler in a service with nothing but the permissions that it needs.

use crate::{
    grants::Grants,
    kinds::{self, Place},
    support::PAYMENTS,
};

/// Runs this at a server where the service may do what is granted and nothing else.
async fn goes_well(grants: Grants, kind: impl AsyncFnOnce(&Place)) {
    let server = grants.server();
    let place = Place::new(Grants::admin(&server).await, grants.connect(&server).await);
    kind(&place).await;
}

#[tokio::test]
async fn a_live_handler_and_what_is_asked_with_nothing_but_what_they_need() {
    let grants = Grants::of("clerk")
        .hears("orders.payments.payment.processed.*")
        .asks("orders.payments.payment.process.*");
    goes_well(grants, kinds::it_hears_and_asks).await;
}

#[tokio::test]
async fn durable_commands_with_nothing_but_what_they_need() {
    let grants = Grants::of("clerk")
        .reads("ORDERS__PAYMENTS__QUEUE", "work")
        .sends("ORDERS__SHIPPING__QUEUE", "queue.orders.shipping.parcel.book.*");
    goes_well(grants, kinds::it_works_commands_and_sends_them).await;
}

#[tokio::test]
async fn one_effect_for_one_message_with_nothing_but_what_it_needs() {
    let grants = Grants::of("clerk")
        .reads(PAYMENTS, "refuse")
        .once("refuse")
        .sends(PAYMENTS, "orders.payments.payment.failed.*");
    goes_well(grants, kinds::it_has_one_effect).await;
}

#[tokio::test]
async fn a_batch_with_nothing_but_what_it_needs() {
    let grants = Grants::of("clerk").reads(PAYMENTS, "store");
    goes_well(grants, kinds::it_handles_a_batch).await;
}

#[tokio::test]
async fn data_in_the_object_store_with_nothing_but_what_it_needs() {
    let grants = Grants::of("clerk")
        .reads(PAYMENTS, "read")
        .sends(PAYMENTS, "orders.payments.payment.processed.*")
        .claims(PAYMENTS);
    goes_well(grants, kinds::it_stores_data_and_reads_it).await;
}

#[tokio::test]
async fn a_durable_that_is_ordered_by_key_with_nothing_but_what_it_needs() {
    let grants = Grants::of("clerk")
        .reads(PAYMENTS, "book")
        .in_order(PAYMENTS, "book");
    goes_well(grants, kinds::it_keeps_the_order_of_keys).await;
}

#[tokio::test]
async fn a_letter_that_is_replayed_with_nothing_but_what_it_needs() {
    let grants = Grants::of("clerk").reads(PAYMENTS, "mend");
    goes_well(grants, kinds::it_handles_a_letter_again).await;
}

#[tokio::test]
async fn a_filter_a_large_letter_and_a_pause_with_nothing_but_what_they_need() {
    let grants = Grants::of("clerk")
        .reads(PAYMENTS, "read")
        .filters()
        .keeps_large_letters()
        .paused(PAYMENTS, "read");
    goes_well(grants, kinds::it_keeps_what_is_large_and_is_paused).await;
}
