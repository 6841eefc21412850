//! `tidewire dlq replay`, killed midway and run again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidewire::{Connection, Failure, OrFail, dead_letter::LetterState, prelude::*};
use tidewire_ops::{DeadLetters, Selection, state_name};
use tidewire_server::Server;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    run::{on, within},
    services::{PaymentProcessed, connect, payments, processed},
};

const LETTERS: usize = 300;
/// So many are handled before the replay is killed, and the others wait meanwhile.
const BEFORE: usize = 20;

/// A handler that keeps books of its own.
#[derive(Clone, Debug)]
struct Books {
    mended: Arc<AtomicBool>,
    /// How often it had an effect, for each payment.
    effects: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Whether more may be handled than `BEFORE`.
    open: watch::Receiver<bool>,
    /// Passed by who is about to have an effect.
    begun: Arc<Semaphore>,
}

async fn ship(State(books): State<Books>, Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
    if !books.mended.load(Ordering::SeqCst) {
        return Err("no carrier").or_reject();
    }
    if let Ok(permit) = books.begun.try_acquire() {
        permit.forget();
    } else {
        let mut open = books.open.clone();
        open.wait_for(|open| *open).await.or_retry()?;
    }
    *books.effects.lock().unwrap().entry(paid.payment_id).or_default() += 1;
    Ok(())
}

/// How many letters stand where.
async fn states(nats: &Connection) -> BTreeMap<&'static str, usize> {
    let dead = DeadLetters::open(nats, "a test").await.unwrap();
    let all = Selection {
        closed: true,
        ..Selection::default()
    };
    let mut states = BTreeMap::new();
    for letter in dead.list(&all).await.unwrap().letters {
        *states.entry(state_name(letter.state)).or_default() += 1;
    }
    states
}

#[tokio::test]
async fn a_replay_that_is_killed_midway_and_run_again_handles_each_letter_once() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    let (opened, open) = watch::channel(false);
    let books = Books {
        mended: Arc::default(),
        effects: Arc::default(),
        open,
        begun: Arc::new(Semaphore::new(BEFORE)),
    };
    let shipping =
        Service::new("shipping", "0.4.0")
            .state(books.clone())
            .on(durable("ship-on-payment", ship).concurrency(256));
    let _shipping = shipping.start(connect(&server).await).await.unwrap();
    for number in 0..LETTERS {
        payments
            .bus()
            .publish(&processed(&format!("p-{number}")))
            .await
            .unwrap();
    }
    within("all are dead letters", async || {
        states(&nats).await.get("open") == Some(&LETTERS)
    })
    .await;
    books.mended.store(true, Ordering::SeqCst);

    let args = ["dlq", "replay", "--all", "--yes"];
    // So slowly that whoever kills it may be ten seconds late.
    let mut replay = on(&server, &[&args[..], &["--rate", "20"]].concat())
        .spawn()
        .unwrap();
    let (handled, replaying) = (
        state_name(LetterState::Handled),
        state_name(LetterState::Replaying),
    );
    within("some are handled and some are on their way", async || {
        let states = states(&nats).await;
        states.get(handled) == Some(&BEFORE) && states.get(replaying).is_some_and(|count| *count >= 5)
    })
    .await;
    replay.kill().await.unwrap();
    let left = states(&nats).await;
    assert!(
        left.get("open").is_some_and(|open| *open > LETTERS / 4),
        "it was killed midway: {left:?}"
    );
    assert_eq!(left[handled], BEFORE, "{left:?}");

    // What is on its way comes first: were it sent again, its handler would have it twice by now.
    let again = on(&server, &args).spawn().unwrap();
    within("the second run sends what is left", async || {
        states(&nats).await.get(replaying) > left.get(replaying)
    })
    .await;
    opened.send(true).unwrap();
    let ran = timeout(Duration::from_secs(60), again.wait_with_output()).await;
    let ran = ran.unwrap().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(states(&nats).await, BTreeMap::from([(handled, LETTERS)]));
    let effects = books.effects.lock().unwrap().clone();
    assert_eq!(effects.len(), LETTERS);
    let more: Vec<_> = effects.iter().filter(|(_, count)| **count != 1).collect();
    assert!(more.is_empty(), "more than one effect: {more:?}");
}
