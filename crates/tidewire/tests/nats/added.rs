//! A durable that takes more than before, while instances of the version before it still run.

use std::{sync::Arc, time::Duration};

use tidewire::{Running, async_nats::Client, prelude::*};

use crate::support::{
    PAYMENTS, PaymentProcessed, PaymentRefunded, Seen, connect, eventually, kept, log, note, payments,
    processed, quiet, server,
};

fn refunded(number: usize) -> PaymentRefunded {
    PaymentRefunded {
        payment_id: format!("refunded {number}"),
    }
}

#[derive(EventSet)]
enum Payment {
    Processed(PaymentProcessed),
    Refunded(PaymentRefunded),
}

async fn note_both(State(seen): State<Seen>, Event(payment): Event<Payment>) {
    seen.note(match payment {
        Payment::Processed(paid) => paid.payment_id,
        Payment::Refunded(paid) => paid.payment_id,
    });
}

async fn shipping(client: &Client, service: Service<Seen>) -> Running {
    service.start(client.clone()).await.unwrap()
}

fn of(version: &str, seen: &Seen) -> Service<Seen> {
    Service::new("shipping", version).state(seen.clone())
}

fn both() -> Service {
    payments().publishes::<PaymentRefunded>()
}

const MANY: usize = 30;

/// Both instances pull from one consumer, whose filter has grown: what the older one cannot know is none of its dead letters.
#[tokio::test]
async fn an_older_instance_leaves_to_the_newer_one_what_only_that_takes() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = both().start(client.clone()).await.unwrap();
    let old = shipping(&client, of("1.0.0", &seen).on(durable("note", note))).await;
    let new = shipping(&client, of("1.1.0", &seen).on(durable("note", note_both))).await;
    for number in 0..MANY {
        payments.bus().publish(&refunded(number)).await.unwrap();
        let paid = processed(format!("paid {number}"));
        payments.bus().publish(&paid).await.unwrap();
    }
    seen.reaches(2 * MANY).await;
    quiet(&client, PAYMENTS, "shipping__note").await;
    assert!(kept(&client).await.is_empty(), "{:?}", kept(&client).await);
    old.stop().await.unwrap();
    new.stop().await.unwrap();
}

/// One instance is active: what it does not know waits in its place, until the newer one takes over.
#[tokio::test]
async fn where_keys_are_ordered_it_waits_for_the_newer_one() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = both().start(client.clone()).await.unwrap();
    let old = durable("note", note).ordered_by_key();
    let old = shipping(&client, of("1.0.0", &seen).on(old)).await;
    payments.bus().publish(&processed("first")).await.unwrap();
    seen.reaches(1).await;
    let new = durable("note", note_both).ordered_by_key();
    let new = shipping(&client, of("1.1.0", &seen).on(new)).await;
    payments.bus().publish(&refunded(1)).await.unwrap();
    payments.bus().publish(&processed("second")).await.unwrap();
    seen.reaches(2).await;
    old.stop().await.unwrap();
    seen.reaches(3).await;
    quiet(&client, PAYMENTS, "shipping__note").await;
    assert_eq!(seen.sorted(), ["first", "refunded 1", "second"]);
    assert!(kept(&client).await.is_empty());
    new.stop().await.unwrap();
}

/// A consumer does not go back, and nothing is skipped without a word.
#[tokio::test]
async fn what_is_stored_already_of_what_is_added_is_told_of() {
    log::begin();
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = both().start(client.clone()).await.unwrap();
    let old = shipping(&client, of("1.0.0", &seen).on(durable("added", note))).await;
    payments.bus().publish(&refunded(1)).await.unwrap();
    payments.bus().publish(&processed("paid")).await.unwrap();
    seen.reaches(1).await;
    quiet(&client, PAYMENTS, "shipping__added").await;
    old.stop().await.unwrap();
    let new = shipping(&client, of("1.1.0", &seen).on(durable("added", note_both))).await;
    payments.bus().publish(&refunded(2)).await.unwrap();
    seen.reaches(2).await;
    assert_eq!(seen.sorted(), ["paid", "refunded 2"]);
    let lines = log::lines();
    let told = lines
        .iter()
        .find(|line| line.contains("shipping__added") && line.contains("takes more than before"));
    let told = told.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(
        told.contains("orders.payments.payment.refunded.*") && told.contains("up_to=2"),
        "{told}"
    );
    new.stop().await.unwrap();
}

/// The numbers of a stream that was deleted and made again are those of other messages: what a run of the old one says is
/// not said of the new one.
#[tokio::test]
async fn a_run_of_a_deleted_stream_settles_nothing_of_the_one_in_its_place() {
    #[derive(Clone, Default)]
    struct World {
        seen: Seen,
        goes_on: Arc<tokio::sync::Notify>,
    }
    async fn wait(
        State(world): State<World>,
        Attempt(attempt): Attempt,
        Event(paid): Event<PaymentProcessed>,
    ) -> Result<(), Failure> {
        world.seen.note(format!("{} {attempt}", paid.payment_id));
        if paid.payment_id == "old" {
            world.goes_on.notified().await;
            world.seen.note("old ends");
        } else if attempt == 1 {
            // Until the old one has had its say.
            while !world.seen.sorted().contains(&"old ends".to_owned()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            return Err("not yet").or_retry();
        }
        Ok(())
    }
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let first = payments().start(client.clone()).await.unwrap();
    let waiting = durable("wait", wait).concurrency(4).retry(Retry::immediate());
    let service = Service::new("shipping", "1.0.0").state(world.clone()).on(waiting);
    let shipping = service.start(client.clone()).await.unwrap();
    first.bus().publish(&processed("old")).await.unwrap();
    world.seen.reaches(1).await;
    crate::support::jetstream(&client)
        .delete_stream(PAYMENTS)
        .await
        .unwrap();
    first.stop().await.unwrap();
    let again = payments().start(client.clone()).await.unwrap();
    again.bus().publish(&processed("new")).await.unwrap();
    world.seen.reaches(2).await;
    world.goes_on.notify_one();
    eventually("the new one is tried again", async || {
        world.seen.sorted().contains(&"new 2".to_owned())
    })
    .await;
    shipping.stop().await.unwrap();
}
