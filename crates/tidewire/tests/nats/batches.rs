//! Batches, with a result for each of their events.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidewire::{StartError, prelude::*};

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, jetstream, kept, kept_reach, payments,
    processed, quiet, server,
};

#[derive(Clone, Default)]
struct World {
    seen: Seen,
    sizes: Arc<Mutex<Vec<usize>>>,
}

async fn store(State(world): State<World>, Batch(paid): Batch<PaymentProcessed>) -> Vec<Result<(), Failure>> {
    world.sizes.lock().unwrap().push(paid.len());
    assert!(
        paid.iter().all(|paid| paid.payment_id != "poison"),
        "as a test does"
    );
    let one = |paid: PaymentProcessed| {
        if paid.payment_id.starts_with("bad") {
            return Err("a bad one").or_reject();
        }
        world.seen.note(paid.payment_id);
        Ok(())
    };
    paid.into_iter().map(one).collect()
}

fn ledger(world: &World) -> Service<World> {
    let durable = durable("store", store).retry(Retry::fixed(Duration::from_millis(50)).max_attempts(3));
    Service::new("ledger", "1.0.0")
        .state(world.clone())
        .on_batch(50, Duration::from_millis(100), durable)
}

#[tokio::test]
async fn events_are_handled_together_and_settled_by_themselves() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..240 {
        let name = if key % 60 == 7 { "bad" } else { "good" };
        payments
            .bus()
            .publish(&processed(format!("{name}-{key}")))
            .await
            .unwrap();
    }
    // What is no event of the type fails by itself, and so does what is no event at all.
    let js = jetstream(&client);
    js.publish("orders.payments.payment.processed.junk", "junk".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let _ledger = ledger(&world).start(client.clone()).await.unwrap();
    let letters = kept_reach(&client, 5).await;
    quiet(&client, PAYMENTS, "ledger__store").await;
    assert_eq!((world.seen.len(), letters.len()), (236, 5));
    let sizes = world.sizes.lock().unwrap().clone();
    assert!(
        sizes.iter().all(|size| *size <= 50) && sizes.contains(&50),
        "{sizes:?}"
    );
    assert!(sizes.len() < 30, "{} calls", sizes.len());
}

#[tokio::test]
async fn what_makes_a_batch_panic_fails_alone() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..20 {
        let key = if key == 11 {
            "poison".into()
        } else {
            format!("good-{key}")
        };
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    let _ledger = ledger(&world).start(client.clone()).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    quiet(&client, PAYMENTS, "ledger__store").await;
    assert_eq!((world.seen.len(), kept(&client).await.len()), (19, 1));
    let trouble = letters[0].record.trouble.as_ref().unwrap();
    assert_eq!((trouble.class.as_str(), trouble.attempts), ("panicked", 3));
}

#[derive(Debug, thiserror::Error)]
#[error("the disk is full")]
struct Full;

#[tokio::test]
async fn a_failure_of_all_is_that_of_each() {
    async fn full(Batch(_): Batch<PaymentProcessed>) -> Result<(), Failure> {
        Err(Full.into())
    }
    let (server, client) = {
        let server = server();
        let client = connect(&server).await;
        (server, client)
    };
    let payments = payments().start(client.clone()).await.unwrap();
    let durable = durable("full", full).on_error::<Full>(Then::DeadLetter);
    let service = Service::new("ledger", "1.0.0").on_batch(10, Duration::from_millis(20), durable);
    let _ledger = service.start(client.clone()).await.unwrap();
    for key in 0..3 {
        payments
            .bus()
            .publish(&processed(format!("{key}")))
            .await
            .unwrap();
    }
    let letters = kept_reach(&client, 3).await;
    assert!(
        letters
            .iter()
            .all(|letter| letter.record.trouble.as_ref().unwrap().chain == ["the disk is full"])
    );
    drop(server);
}

#[tokio::test]
async fn a_batch_that_sends_is_refused() {
    async fn ship(_booked: Emit<ParcelBooked>, Batch(_): Batch<PaymentProcessed>) {}
    let server = server();
    let client = connect(&server).await;
    let service = Service::new("shipping", "1.0.0").context(Context::new("orders.shipping"));
    let service = service.on_batch(10, Duration::from_millis(20), durable("ship", ship));
    let error = service.start(client).await.unwrap_err();
    assert!(matches!(error, StartError::Declaration { .. }));
    assert!(error.to_string().contains("takes batches and sends"), "{error}");
}
