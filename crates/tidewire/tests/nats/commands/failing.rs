//! Durable commands whose handler fails: they are settled as events are.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidewire::{Running, async_nats::Client, dead_letter::Act, prelude::*};

use super::{BookParcel, QUEUE, Where, book, queued, shop};
use crate::{
    replays::replay_to,
    support::{Seen, connect, jetstream, kept, kept_reach, quiet, server},
};

#[derive(Clone, Default)]
struct World {
    seen: Seen,
    mended: Arc<AtomicBool>,
}

/// Fails by the key: once, or until it is mended.
async fn book_or_fail(
    State(world): State<World>,
    Attempt(attempt): Attempt,
    Where(subject): Where,
    Command(parcel): Command<BookParcel>,
) -> Result<(), Failure> {
    world.seen.note(format!("{subject} {attempt}"));
    match parcel.payment_id.as_str() {
        "once" if attempt == 1 => Err("not yet").or_retry(),
        "bad" if !world.mended.load(Ordering::SeqCst) => Err("there is no van").or_retry(),
        _ => Ok(()),
    }
}

/// One after the other, so that a command that waits for its next attempt would stop the others if it could.
async fn carrier(world: &World, client: &Client) -> Running {
    let durable = durable("book", book_or_fail)
        .retry(Retry::fixed(Duration::from_millis(20)).max_attempts(3))
        .concurrency(1);
    let carrier = Service::new("carrier", "1.0.0")
        .state(world.clone())
        .context(Context::new("orders.shipping"))
        .on(durable);
    carrier.start(client.clone()).await.unwrap()
}

/// What the handler notes of a run: the subject that the command was sent to, without the queue's prefix.
fn run(key: &str, attempt: u32) -> String {
    format!("orders.shipping.parcel.book.{key} {attempt}")
}

#[tokio::test]
async fn a_command_that_fails_is_tried_again() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let carrier = carrier(&world, &client).await;
    shop(&client).await.bus().send(&book("once")).await.unwrap();
    world.seen.reaches(2).await;
    quiet(&client, QUEUE, "carrier__book").await;
    assert_eq!(world.seen.sorted(), [run("once", 1), run("once", 2)]);
    assert_eq!(
        carrier.tally()["carrier__book"],
        BTreeMap::from([("failed", 1), ("handled", 1)])
    );
    assert!(kept(&client).await.is_empty());
    assert_eq!(queued(&client).await, 1, "it came again from there");
}

#[tokio::test]
async fn a_command_whose_attempts_are_spent_is_a_letter_that_can_be_replayed() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    let _carrier = carrier(&world, &client).await;
    let shop = shop(&client).await;
    let bad = shop.bus().send(&book("bad")).await.unwrap();
    for key in ["a", "b"] {
        shop.bus().send(&book(key)).await.unwrap();
    }
    let letter = kept_reach(&client, 1).await.remove(0);
    shop.bus().send(&book("c")).await.unwrap();
    quiet(&client, QUEUE, "carrier__book").await;
    let mut runs = vec![
        run("a", 1),
        run("b", 1),
        run("bad", 1),
        run("bad", 2),
        run("bad", 3),
        run("c", 1),
    ];
    assert_eq!(world.seen.sorted(), runs);

    let trouble = letter.record.trouble.as_ref().unwrap();
    assert_eq!(
        (trouble.class.as_str(), trouble.error.as_str(), trouble.attempts),
        ("exhausted", "there is no van", 3)
    );
    assert!(letter.subject.starts_with("dlq.carrier.book."), "{letter:?}");
    let header = |name: &str| {
        let found = letter.headers.iter().find(|(found, _)| found == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.as_str()
    };
    // Its place in the queue, and below it the command's own header with the command's own subject.
    assert_eq!(
        (header("Tw-Stream"), header("Tw-Sequence")),
        (QUEUE, bad.sequence.to_string().as_str())
    );
    assert_eq!(header("Tw-Subject"), "queue.orders.shipping.parcel.book.bad");
    assert_eq!(header("Orig-Tw-Subject"), "orders.shipping.parcel.book.bad");
    let queue = jetstream(&client).get_stream(QUEUE).await.unwrap();
    let sent = queue.get_raw_message(bad.sequence).await.unwrap();
    assert_eq!(letter.record.original.as_ref().unwrap().payload, sent.payload);

    world.mended.store(true, Ordering::SeqCst);
    replay_to(&client, &letter, "carrier", "book").await;
    let records = kept_reach(&client, 3).await;
    quiet(&client, "TW_CARRIER", "carrier__book").await;
    let acts: Vec<_> = records.iter().map(|kept| kept.record.act).collect();
    assert_eq!(acts, [Act::Failed, Act::Replayed, Act::Handled]);
    assert!(records.iter().all(|kept| kept.subject == letter.subject));
    runs.insert(5, run("bad", 4));
    assert_eq!(world.seen.sorted(), runs);
    // A replay goes to its handler, not to the queue.
    assert_eq!(queued(&client).await, 4);
}
