//! Batches, with a result for each of their events.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidewire::{StartError, prelude::*};

use crate::{
    settlements::{Settlement, Settlements, settlement},
    support::{
        Kept, PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, kept,
        kept_reach, payments, processed, quiet, server,
    },
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

/// Batches of fifty, or of what comes within this time.
fn ledger(world: &World, within: Duration) -> Service<World> {
    let durable = durable("store", store).retry(Retry::fixed(Duration::from_millis(50)).max_attempts(3));
    Service::new("ledger", "1.0.0")
        .state(world.clone())
        .on_batch(50, within, durable)
}

#[tokio::test]
async fn events_are_handled_together_and_settled_by_themselves() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    // Five batches: the last one is full, and waits for nothing more.
    for key in 0..250 {
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
    let ledger = ledger(&world, Duration::from_secs(60));
    let _ledger = ledger.start(client.clone()).await.unwrap();
    let letters = kept_reach(&client, 6).await;
    quiet(&client, PAYMENTS, "ledger__store").await;
    assert_eq!((world.seen.len(), letters.len()), (245, 6));
    assert_eq!(*world.sizes.lock().unwrap(), [50; 5], "five calls");
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
    let ledger = ledger(&world, Duration::from_millis(100));
    let _ledger = ledger.start(client.clone()).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    quiet(&client, PAYMENTS, "ledger__store").await;
    assert_eq!((world.seen.len(), kept(&client).await.len()), (19, 1));
    let trouble = letters[0].record.trouble.as_ref().unwrap();
    assert_eq!((trouble.class.as_str(), trouble.attempts), ("panicked", 3));
}

/// Settles each by its key: `again` is tried again in an hour, `never` is rejected, `poison` panics, the others are done.
async fn sort(State(world): State<World>, Batch(paid): Batch<PaymentProcessed>) -> Vec<Result<(), Failure>> {
    world.sizes.lock().unwrap().push(paid.len());
    assert!(
        paid.iter().all(|paid| paid.payment_id != "poison"),
        "as a test does"
    );
    let hour = Duration::from_secs(3600);
    let one = |paid: PaymentProcessed| match paid.payment_id.as_str() {
        "again" => Err("not yet").or_retry_after(hour),
        "never" => Err("a bad one").or_reject(),
        "declined" => Err(Failure::decline("not_today", "as a test does")),
        _ => {
            world.seen.note(paid.payment_id);
            Ok(())
        }
    };
    paid.into_iter().map(one).collect()
}

/// Has these keys handled as one batch until `pending` of them are left: what was said of each, the letters, and up to where
/// all is settled.
async fn sorted(keys: &[&str], pending: usize) -> (World, Vec<Settlement>, Vec<Kept>, u64) {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in keys {
        payments.bus().publish(&processed(*key)).await.unwrap();
    }
    let mut settlements = Settlements::listen(&client, PAYMENTS, "ledger__store").await;
    let durable = durable("store", sort).retry(Retry::fixed(Duration::from_millis(50)).max_attempts(3));
    // It is full with the last of them, and does not wait for more.
    let _ledger = Service::new("ledger", "1.0.0")
        .state(world.clone())
        .on_batch(keys.len(), Duration::from_secs(30), durable)
        .start(connect(&server).await)
        .await
        .unwrap();
    eventually("all have come to their ends", async || {
        let info = consumer(&client, PAYMENTS, "ledger__store").await;
        let all = info.delivered.stream_sequence == keys.len() as u64;
        all && info.num_pending == 0 && info.num_ack_pending == pending
    })
    .await;
    // A nak with an hour and a message in hand look alike: by its nak the last one has come to its end, too.
    let mut settled = settlements.so_far().await;
    eventually("of each something was said", async || {
        settled = settlements.so_far().await;
        (1..=keys.len() as u64).all(|sequence| settled.iter().any(|said| said.sequence == sequence))
    })
    .await;
    let floor = consumer(&client, PAYMENTS, "ledger__store")
        .await
        .ack_floor
        .stream_sequence;
    (world, settled, kept(&client).await, floor)
}

fn letter<'a>(letters: &'a [Kept], key: &str) -> &'a Kept {
    let subject = format!("orders.payments.payment.processed.{key}");
    let found = letters
        .iter()
        .find(|letter| letter.record.original.as_ref().unwrap().subject == subject);
    found.unwrap_or_else(|| panic!("no letter of {key}: {letters:?}"))
}

#[tokio::test]
async fn each_event_of_a_batch_comes_to_its_own_end() {
    let keys = ["a", "never", "b", "again", "c", "declined", "d"];
    let (world, settled, letters, floor) = sorted(&keys, 1).await;
    assert_eq!(*world.sizes.lock().unwrap(), [7], "one call");
    assert_eq!(world.seen.sorted(), ["a", "b", "c", "d"]);
    let expected = ["+ACK", "+TERM", "+ACK", "-NAK", "+ACK", "+ACK", "+ACK"];
    let expected: Vec<_> = (1..)
        .zip(expected)
        .map(|(sequence, said)| settlement(sequence, 1, said))
        .collect();
    assert_eq!(settled, expected);
    // All before the one that comes again, which alone is open.
    assert_eq!(floor, 3);
    assert_eq!(letters.len(), 1);
    let trouble = letter(&letters, "never").record.trouble.clone().unwrap();
    assert_eq!((trouble.class.as_str(), trouble.attempts), ("rejected", 1));
}

/// One panics, and so nothing is known of the others: each is tried alone, and comes to its own end there.
#[tokio::test]
async fn each_event_of_a_batch_that_panics_comes_to_its_own_end_alone() {
    let keys = ["a", "poison", "never", "b"];
    let (world, settled, letters, floor) = sorted(&keys, 0).await;
    let sizes = world.sizes.lock().unwrap().clone();
    assert_eq!(sizes, [4, 1, 1, 1, 1, 1], "the poison was tried twice more");
    assert_eq!(world.seen.sorted(), ["a", "b"]);
    let ends = [
        &["-NAK", "+ACK"][..],
        &["-NAK", "-NAK", "+TERM"],
        &["-NAK", "+TERM"],
        &["-NAK", "+ACK"],
    ];
    let mut expected = Vec::new();
    for (sequence, said) in (1..).zip(ends) {
        expected.extend(
            (1..)
                .zip(said)
                .map(|(delivery, said)| settlement(sequence, delivery, said)),
        );
    }
    assert_eq!(settled, expected);
    assert_eq!((floor, letters.len()), (4, 2));
    let trouble = |key| letter(&letters, key).record.trouble.clone().unwrap();
    let (poison, never) = (trouble("poison"), trouble("never"));
    assert_eq!((poison.class.as_str(), poison.attempts), ("panicked", 3));
    assert_eq!((never.class.as_str(), never.attempts), ("rejected", 2));
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
