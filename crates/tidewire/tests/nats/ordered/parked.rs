//! Events that wait in the service's stream until one before them is done.

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use bytes::Bytes;
use tidewire::{
    async_nats::{HeaderMap, HeaderName, HeaderValue},
    dead_letter::LetterId,
    extract::Raw,
};

use super::*;

/// How many messages are parked.
async fn parked(client: &Client) -> usize {
    use futures_util::TryStreamExt;
    let stream = jetstream(client).get_stream("TW_LEDGER").await.unwrap();
    let subjects = stream.info_with_subjects("park.ledger.book.*").await.unwrap();
    let counts: Vec<_> = subjects.try_collect().await.unwrap();
    counts.into_iter().map(|(_, count)| count).sum()
}

#[tokio::test]
async fn many_events_behind_one_that_fails_are_parked_and_handled_in_order_over_a_restart() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(2)));
    let client = connect(&server).await;
    world.fails("k0", 0, Fails::Retry(usize::MAX));
    // Their stream is there before them.
    publish(&client, 0, 0).await;
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    publish(&client, 1, 200).await;
    eventually("the first and what follows it are parked", async || {
        parked(&client).await == 200
    })
    .await;
    all_quiet(&client).await;
    assert_eq!(world.count(), 0);
    // Other keys go on, and what comes later of this one is parked behind.
    publish_from(&client, 3, 200, 220).await;
    eventually("the other keys are handled", async || world.count() == 40).await;
    all_quiet(&client).await;
    assert_eq!(parked(&client).await, 220);
    // Not all of them before it stops; the one that runs then comes to its end.
    world.2.lets(100);
    world.mends("k0", 0);
    eventually("some of them are handled", async || world.of("k0").len() > 50).await;
    let (stopped, ()) = tokio::join!(running.stop(), async { world.2.opens() });
    stopped.unwrap();
    few_again(&client, &world, 0, 1).await;
    let left = parked(&client).await;
    assert!(
        left > 0 && left + world.of("k0").len() == 220,
        "{left} are left, handled or parked"
    );
    // What comes while nobody is there stands behind what is parked.
    publish_from(&client, 1, 220, 230).await;
    let (_, again) = world.handled();
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("it is the active one", async || last_term(&client).await > 1).await;
    let term = last_term(&client).await;
    eventually("all are handled", async || world.of("k0").len() == 230).await;
    all_quiet(&client).await;
    eventually("none is parked", async || parked(&client).await == 0).await;
    assert_eq!(world.of("k0"), (0..230).collect::<Vec<_>>());
    // The key is open again.
    publish_from(&client, 1, 230, 240).await;
    eventually("the last ones are handled", async || world.of("k0").len() == 240).await;
    assert_eq!(world.of("k0"), (0..240).collect::<Vec<_>>());
    few_again(&client, &world, again, term).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn parked_events_are_handled_in_order_by_whoever_takes_over_from_a_dead_instance() {
    let (server, world) = (server(), World::default().slow(Duration::from_millis(2)));
    let client = connect(&server).await;
    let keys: Vec<_> = (0..8).map(|key| format!("k{key}")).collect();
    for key in &keys {
        world.fails(key, 3, Fails::Retry(usize::MAX));
    }
    publish(&client, 10, 100).await;
    let first = Mortal::start(&server, patient(&world)).await;
    eventually("some are parked", async || parked(&client).await > 200).await;
    let second = patient(&world).start(connect(&server).await).await.unwrap();
    // In the middle of parking.
    first.dies();
    for key in &keys {
        world.mends(key, 3);
    }
    eventually("all are handled", async || world.count() == 1000).await;
    all_quiet(&client).await;
    eventually("none is parked", async || parked(&client).await == 0).await;
    world.is_in_order(10, 100);
    second.stop().await.unwrap();
}

#[derive(Clone, Default)]
struct Largest {
    seen: Arc<Mutex<Vec<(u32, Bytes)>>>,
    goes_well: Arc<AtomicBool>,
}

async fn hold_at_first(
    State(largest): State<Largest>,
    Attempt(attempt): Attempt,
    raw: Raw,
) -> Result<(), Failure> {
    largest.seen.lock().unwrap().push((attempt, raw.payload));
    if !largest.goes_well.load(Ordering::Relaxed) {
        return Err("not now").or_retry_after(Duration::from_secs(11));
    }
    Ok(())
}

/// With the headers that it is parked with it would be too large for a message: its body waits in the object store.
#[tokio::test]
async fn a_message_of_the_largest_size_is_parked_and_handled_whole() {
    let (server, state) = (server(), Largest::default());
    let client = connect(&server).await;
    // Their stream is there before them.
    publish(&client, 0, 0).await;
    let ledger = Service::new("ledger", "1.0.0").state(state.clone());
    let book = durable("book", hold_at_first).filter("orders.payments.payment.processed.*");
    let running = ledger
        .on(book.ordered_by_key())
        .start(client.clone())
        .await
        .unwrap();
    let largest = Bytes::from(vec![b'x'; client.max_payload()]);
    let js = jetstream(&client);
    let sent = js.publish("orders.payments.payment.processed.large", largest.clone());
    sent.await.unwrap().await.unwrap();
    eventually("it is parked", async || parked(&client).await == 1).await;
    let stream = jetstream(&client).get_stream("TW_LEDGER").await.unwrap();
    let lies = stream
        .get_last_raw_message_by_subject("park.ledger.book.large")
        .await
        .unwrap();
    assert!(lies.payload.is_empty() && lies.headers.get(wire::TW_OBJECT).is_some());
    state.goes_well.store(true, Ordering::Relaxed);
    eventually("it is handled and taken out", async || parked(&client).await == 0).await;
    let seen = state.seen.lock().unwrap().clone();
    assert!(seen.first().unwrap().0 == 1 && seen.last().unwrap().0 > 1);
    assert!(seen.iter().all(|(_, whole)| *whole == largest));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_parked_event_can_become_a_dead_letter_and_is_then_parked_no_more() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    // The first one is parked with all that follow it, and one of those is rejected.
    world.fails("k0", 0, Fails::Retry(usize::MAX));
    world.fails("k0", 4, Fails::Reject);
    publish(&client, 1, 10).await;
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("they are parked", async || parked(&client).await == 10).await;
    world.mends("k0", 0);
    eventually("all others are handled", async || world.count() == 9).await;
    eventually("none is parked", async || parked(&client).await == 0).await;
    let letters = kept(&client).await;
    assert_eq!(letters.len(), 1);
    let original = letters[0].record.original.clone().unwrap();
    assert_eq!((original.stream.as_str(), original.sequence), (PAYMENTS, 5));
    assert_eq!(original.subject, "orders.payments.payment.processed.k0");
    assert_eq!(world.of("k0"), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_replay_of_a_key_that_is_parked_waits_behind_what_is_parked() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    world.fails("k0", 0, Fails::Reject);
    world.fails("k0", 1, Fails::Retry(usize::MAX));
    publish(&client, 1, 5).await;
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    let letter = kept_reach(&client, 1).await.remove(0);
    eventually("the rest is parked", async || parked(&client).await == 4).await;
    world.mends("k0", 0);
    replay_to(&client, &letter, "ledger", "book").await;
    eventually("the replay is parked too", async || parked(&client).await == 5).await;
    world.mends("k0", 1);
    eventually("all are handled", async || world.count() == 5).await;
    assert_eq!(world.of("k0"), [1, 2, 3, 4, 0]);
    let records = kept_reach(&client, 3).await;
    assert_eq!(records[2].record.act, Act::Handled);
    eventually("none is parked", async || parked(&client).await == 0).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_event_whose_parking_was_confirmed_to_nobody_is_not_left_behind() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    world.fails("k0", 0, Fails::Retry(usize::MAX));
    publish(&client, 1, 2).await;
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("they are parked", async || parked(&client).await == 2).await;
    // The next one is stored as the active instance stores it, and only the confirmation is missing: it tries again.
    let js = jetstream(&client);
    let subject = wire::park_subject("ledger", "book", "k0");
    let stream = js.get_stream("TW_LEDGER").await.unwrap();
    let last = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
    let created = last.headers.get(wire::TW_STREAM_CREATED).unwrap().as_str();
    let id = LetterId::of(PAYMENTS, created.parse().unwrap(), 3);
    let mut headers = HeaderMap::new();
    for (name, values) in last
        .headers
        .iter()
        .filter(|(name, _)| name.to_string().starts_with("Orig-"))
    {
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }
    for (name, value) in [
        wire::TW_STREAM,
        wire::TW_STREAM_CREATED,
        wire::TW_STORED,
        wire::TW_SUBJECT,
    ]
    .map(|name| (name, last.headers.get(name).unwrap().to_string()))
    .into_iter()
    .chain([
        (wire::TW_SEQUENCE, "3".into()),
        (wire::MSG_ID, format!("book.{id}")),
    ]) {
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        );
    }
    let body = String::from_utf8(last.payload.to_vec()).unwrap();
    let body = body.replace(r#""note":"1""#, r#""note":"2""#);
    js.publish_with_headers(subject, headers, body.into())
        .await
        .unwrap()
        .await
        .unwrap();
    publish_from(&client, 1, 2, 3).await;
    all_quiet(&client).await;
    assert_eq!(parked(&client).await, 3, "once");
    world.mends("k0", 0);
    eventually("all are handled", async || world.count() == 3).await;
    assert_eq!(world.of("k0"), [0, 1, 2]);
    eventually("none is parked", async || parked(&client).await == 0).await;
    running.stop().await.unwrap();
}

fn unordered(world: &World) -> Service<World> {
    let durable = durable("book", book)
        .concurrency(16)
        .retry(Retry::fixed(Duration::from_secs(3)).max_attempts(100_000));
    Service::new("ledger", "1.0.0").state(world.clone()).on(durable)
}

#[tokio::test]
async fn a_durable_that_becomes_ordered_repeats_nothing_and_one_that_ceases_to_be_strands_nothing() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    // It holds the ack floor, and all the others are done above it.
    world.fails("k0", 0, Fails::Retry(usize::MAX));
    publish(&client, 50, 1).await;
    let running = unordered(&world).start(connect(&server).await).await.unwrap();
    eventually("the others are handled", async || world.count() == 49).await;
    running.stop().await.unwrap();
    world.mends("k0", 0);
    let running = ledger(&world).start(connect(&server).await).await.unwrap();
    eventually("the last one is handled", async || world.count() == 50).await;
    publish_from(&client, 50, 1, 4).await;
    eventually("what came later is handled", async || world.count() == 200).await;
    all_quiet(&client).await;
    running.stop().await.unwrap();
    few_again(&client, &world, 0, 1).await;

    world.fails("k1", 4, Fails::Retry(usize::MAX));
    publish_from(&client, 2, 4, 8).await;
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("some are parked", async || parked(&client).await == 4).await;
    running.stop().await.unwrap();
    let refused = unordered(&world).start(connect(&server).await).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        matches!(refused, StartError::Parked { messages: 4, .. }),
        "{text}"
    );
    assert!(
        text.contains("`.ordered_by_key()` until none is parked"),
        "{text}"
    );
    world.mends("k1", 4);
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("none is parked", async || parked(&client).await == 0).await;
    running.stop().await.unwrap();
    let running = unordered(&world).start(connect(&server).await).await.unwrap();
    publish_from(&client, 2, 8, 9).await;
    eventually("all are handled", async || world.count() == 210).await;
    running.stop().await.unwrap();
}

/// What cannot be read of one key's parked messages, here something that is none of ours, stops that key and no other.
#[tokio::test]
async fn a_key_whose_parked_messages_cannot_be_read_stops_no_other_and_is_named() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    publish(&client, 0, 0).await;
    let first = patient(&world).start(connect(&server).await).await.unwrap();
    first.stop().await.unwrap();
    let junk = jetstream(&client)
        .publish("park.ledger.book.junk", "junk".into())
        .await;
    junk.unwrap().await.unwrap();
    world.fails("k0", 0, Fails::Retry(1));
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("it is named", async || {
        running.degraded().contains_key("parking-book")
    })
    .await;
    publish_from(&client, 1, 0, 20).await;
    eventually("the other key is parked, fetched and handled", async || {
        world.of("k0").len() == 20
    })
    .await;
    assert_eq!(world.of("k0"), (0..20).collect::<Vec<_>>());
    assert!(running.not_ready().is_empty());
    let stream = jetstream(&client).get_stream("TW_LEDGER").await.unwrap();
    stream.purge().filter("park.ledger.book.junk").await.unwrap();
    eventually("it is well", async || running.degraded().is_empty()).await;
    running.stop().await.unwrap();
}
