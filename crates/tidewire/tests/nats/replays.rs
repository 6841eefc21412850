//! Letters that their handler is given again, as a tool does it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tidewire::{
    async_nats::Client,
    dead_letter::{Act, Record},
    prelude::*,
};

use crate::{
    replay,
    support::{
        Kept, PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, jetstream, kept, kept_reach,
        payments, processed, quiet, server,
    },
};

#[derive(Clone, Default)]
struct World {
    seen: Seen,
    mended: Arc<AtomicBool>,
}

async fn ship(
    State(world): State<World>,
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    world.seen.note(format!("{} {attempt}", paid.payment_id));
    if !world.mended.load(Ordering::SeqCst) {
        return Err("not yet").or_retry();
    }
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
    Ok(())
}

fn shipping(world: &World) -> Service<World> {
    Service::new("shipping", "1.0.0")
        .context(Context::new("orders.shipping"))
        .state(world.clone())
        .on(durable("ship", ship).retry(Retry::immediate().max_attempts(2)))
}

async fn replay(client: &Client, letter: &Kept) -> u64 {
    replay_to(client, letter, "shipping", "ship").await
}

pub(crate) async fn replay_to(client: &Client, letter: &Kept, service: &str, durable: &str) -> u64 {
    replay::replay(client, &letter.subject, &letter.record, service, durable).await
}

/// Somebody discards the letter.
async fn discard(client: &Client, letter: &Kept) {
    let discarded = Record {
        act: Act::Discarded,
        reason: Some("not needed".into()),
        trouble: None,
        original: None,
        ..letter.record.clone()
    };
    replay::keep(client, &letter.subject, &discarded).await;
}

#[tokio::test]
async fn a_replayed_letter_keeps_its_identity_and_is_marked_as_handled() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = shipping(&world).start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);

    // At once, and it fails again: stored again, with the attempts of both.
    replay(&client, &letter).await;
    let records = kept_reach(&client, 3).await;
    let again = &records[2].record;
    assert_eq!(
        (again.act, again.trouble.as_ref().unwrap().attempts),
        (Act::Failed, 4)
    );
    assert_eq!(
        again.trouble.as_ref().unwrap().first_failed,
        letter.record.trouble.as_ref().unwrap().first_failed
    );
    let whole = |record: &Record| {
        let original = record.original.clone().unwrap();
        let mut headers = original.parsed_headers().to_vec();
        headers.sort();
        (
            headers,
            original.payload,
            original.stream,
            original.sequence,
            original.subject,
        )
    };
    assert_eq!(whole(again), whole(&letter.record), "what came first");

    world.mended.store(true, Ordering::SeqCst);
    replay(&client, &records[2]).await;
    let records = kept_reach(&client, 5).await;
    assert_eq!(records[4].record.act, Act::Handled);
    assert_eq!(world.seen.sorted(), ["p 1", "p 2", "p 3", "p 4", "p 5"]);
    quiet(&client, "TW_SHIPPING", "shipping__ship").await;
    // What it emits follows from the message that came first.
    let stream = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
    let parcel: serde_json::Value =
        serde_json::from_slice(&stream.get_raw_message(1).await.unwrap().payload).unwrap();
    let source = jetstream(&client)
        .get_stream(PAYMENTS)
        .await
        .unwrap()
        .get_raw_message(1)
        .await
        .unwrap();
    let source: serde_json::Value = serde_json::from_slice(&source.payload).unwrap();
    assert_eq!(parcel["metadata"]["causation_id"], source["id"]);
}

#[tokio::test]
async fn a_letter_that_was_settled_meanwhile_is_not_handled_again() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let running = shipping(&world).start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);
    quiet(&client, PAYMENTS, "shipping__ship").await;
    running.stop().await.unwrap();
    replay(&client, &letter).await;
    // Somebody discards it while nobody is there to handle it.
    discard(&client, &letter).await;
    let runs = world.seen.len();
    world.mended.store(true, Ordering::SeqCst);
    let _running = shipping(&world).start(client.clone()).await.unwrap();
    quiet(&client, "TW_SHIPPING", "shipping__ship").await;
    assert_eq!(world.seen.len(), runs);
    assert_eq!(kept(&client).await.len(), 3, "and nothing more is said about it");
    let info = consumer(&client, "TW_SHIPPING", "shipping__ship").await;
    assert_eq!(info.ack_floor.stream_sequence, 1);
}

/// Somebody gave it up, and later deletes its consumer, to run all again: what fails then is in the dead letters, and not
/// nowhere.
#[tokio::test]
async fn a_message_whose_letter_is_closed_and_that_fails_again_is_an_open_letter() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let running = shipping(&world).start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);
    quiet(&client, PAYMENTS, "shipping__ship").await;
    running.stop().await.unwrap();
    discard(&client, &letter).await;
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    stream.delete_consumer("shipping__ship").await.unwrap();
    // Longer ago than the runs of the first time are known.
    let js = jetstream(&client);
    js.delete_key_value("TW_SHIPPING_RUNS").await.unwrap();

    let running = shipping(&world).start(client.clone()).await.unwrap();
    let records = kept_reach(&client, 3).await;
    quiet(&client, PAYMENTS, "shipping__ship").await;
    let acts: Vec<_> = records.iter().map(|kept| kept.record.act).collect();
    assert_eq!(acts, [Act::Failed, Act::Discarded, Act::Failed]);
    assert!(records.iter().all(|kept| kept.subject == letter.subject));
    let payload = |kept: &Kept| kept.record.original.as_ref().unwrap().payload.clone();
    assert_eq!(payload(&records[2]), payload(&letter));
    assert_eq!(world.seen.sorted(), ["p 1", "p 1", "p 2", "p 2"]);
    // It is replayed as any other.
    world.mended.store(true, Ordering::SeqCst);
    replay(&client, &records[2]).await;
    let last = kept_reach(&client, 5).await.pop().unwrap();
    assert_eq!(last.record.act, Act::Handled);
    running.stop().await.unwrap();
}
