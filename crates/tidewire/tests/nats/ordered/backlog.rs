//! Far more events of one key than may run.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use super::*;
use crate::support::{Seen, limit_messages};

/// What comes of one key is held up; of the others nothing is.
#[derive(Clone)]
struct Dam {
    open: watch::Sender<bool>,
    seen: Seen,
    /// How long nothing was handled, at the most.
    pause: Arc<Mutex<(Instant, Duration)>>,
}

async fn pass(State(dam): State<Dam>, Event(paid): Event<PaymentProcessed>) {
    if paid.payment_id == "slow" {
        dam.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
    let mut pause = dam.pause.lock().unwrap();
    *pause = (Instant::now(), pause.1.max(pause.0.elapsed()));
    let number: String = paid.note.chars().take(4).collect();
    dam.seen.note(format!("{} {number}", paid.payment_id));
}

impl Dam {
    fn new(open: bool) -> Self {
        Self {
            open: watch::Sender::new(open),
            seen: Seen::default(),
            pause: Arc::new(Mutex::new((Instant::now(), Duration::ZERO))),
        }
    }

    /// Two may run at once.
    async fn book(&self, server: &Server) -> Running {
        let durable = durable("book", pass)
            .ordered_by_key()
            .concurrency(2)
            .ack_wait(ACK_WAIT);
        let service = Service::new("ledger", "1.0.0").state(self.clone()).on(durable);
        service.start(connect(server).await).await.unwrap()
    }

    /// Those of a key, in the order in which they were handled for the first time.
    fn of(&self, key: &str) -> Vec<String> {
        let (mut known, seen) = (BTreeSet::new(), self.seen.all().into_iter());
        seen.filter(|seen| seen.starts_with(key) && known.insert(seen.clone()))
            .collect()
    }
}

/// Publishes so many events of a key in their order, with as many bytes.
async fn post(bus: &Bus, key: &str, events: usize, bytes: usize) {
    for number in 0..events {
        let mut paid = processed(key);
        paid.note = format!("{number:04}{}", ".".repeat(bytes));
        bus.publish(&paid).await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_key_with_a_long_backlog_keeps_no_other_waiting() {
    let (server, dam) = (server(), Dam::new(false));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    post(&payments.bus(), "slow", 1_000, 0).await;
    post(&payments.bus(), "quick", 20, 0).await;
    post(&payments.bus(), "other", 20, 0).await;
    let _running = dam.book(&server).await;
    dam.seen.reaches(40).await;
    assert!(dam.of("slow").is_empty());
    dam.open.send_replace(true);
    dam.seen.reaches(1_040).await;
    all_quiet(&client).await;
    let slow = dam.of("slow");
    assert!(slow.len() == 1_000 && slow.is_sorted(), "{slow:?}");
}

/// Of one key more bytes than may be in hand: more are asked for as soon as there is room, and not when a timer says so.
#[tokio::test]
async fn a_key_with_large_events_goes_on_without_a_pause() {
    let (server, dam) = (server(), Dam::new(true));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    post(&payments.bus(), "large", 400, 100_000).await;
    *dam.pause.lock().unwrap() = (Instant::now(), Duration::ZERO);
    let _running = dam.book(&server).await;
    dam.seen.reaches(400).await;
    let longest = dam.pause.lock().unwrap().1;
    // What is asked for by a timer comes after ten seconds and a half.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    all_quiet(&client).await;
}

/// Parking a long backlog takes its time, and here does not come to an end: other keys go on.
#[tokio::test]
async fn a_long_backlog_that_cannot_be_parked_stops_no_other_and_is_named() {
    let (server, world) = (server(), World::default());
    let client = connect(&server).await;
    publish(&client, 0, 0).await;
    patient(&world)
        .start(connect(&server).await)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    world.fails("k0", 0, Fails::Retry(usize::MAX));
    publish(&client, 1, 500).await;
    // The term's own record, and a few of the five hundred.
    limit_messages(&client, "TW_LEDGER", 10).await;
    let running = patient(&world).start(connect(&server).await).await.unwrap();
    eventually("it is named", async || {
        running.degraded().contains_key("parking-book")
    })
    .await;
    publish_from(&client, 2, 500, 520).await;
    eventually("the other key is handled", async || world.of("k1").len() == 20).await;
    assert!(world.of("k0").is_empty(), "it waited for nothing of this one");
    limit_messages(&client, "TW_LEDGER", -1).await;
    world.mends("k0", 0);
    eventually("the first is handled", async || world.of("k0").len() == 520).await;
    assert_eq!(world.of("k0"), (0..520).collect::<Vec<_>>());
    all_quiet(&client).await;
    running.stop().await.unwrap();
}
