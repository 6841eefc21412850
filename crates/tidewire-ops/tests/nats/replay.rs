//! Giving back to the handler.

use std::time::{Duration, Instant};

use tidewire::{Connect, dead_letter::Act, wire};
use tidewire_ops::{DeadLetters, Listed, Replay, ReplayEnd, Replayed, Selection};

use crate::letters::{Failed, Service, TRACE, World, connected, failed};

pub(crate) const HOW: Replay = Replay {
    to_subject: false,
    rate: None,
    within: Duration::from_secs(20),
};

pub(crate) async fn all(world: &World) -> (DeadLetters, Vec<Listed>) {
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    let letters = dead.list(&Selection::default()).await.unwrap().letters;
    (dead, letters)
}

pub(crate) async fn replayed(dead: &DeadLetters, letters: Vec<Listed>, how: Replay) -> Vec<Replayed> {
    let mut ends = Vec::new();
    dead.replay(letters, how, |end| ends.push(end.clone()))
        .await
        .unwrap();
    ends
}

async fn sent(world: &World) -> usize {
    world.stored("TW_PAYMENTS").await.len()
}

#[tokio::test]
async fn a_letter_goes_to_its_handler_whole_and_twice_is_once() {
    let world = World::start().await;
    let of = failed(1, "orders.payments.payment.processed.p-1");
    let id = world.letter(&of).await;
    let (dead, letters) = all(&world).await;
    let mut service = Service::start(&world).await;
    let replaying = replayed(&dead, letters.clone(), HOW);
    let serving = async {
        let heard = service.next().await;
        service.answer(&heard, Act::Handled).await;
        heard
    };
    let (ends, heard) = tokio::join!(replaying, serving);
    assert!(matches!(ends[0].end, ReplayEnd::Handled), "{ends:?}");
    assert_eq!(heard.original, of.original());
    let header = |name: &str| heard.headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(heard.id, id);
    assert_eq!(header(wire::TW_CONSUMER), "payments__ship");
    assert_eq!(header(wire::TW_ATTEMPTS), "8");
    assert_eq!(header(wire::TW_FIRST_FAILED), "2026-03-20T10:00:01.000000Z");
    assert_eq!(
        header(wire::TRACEPARENT),
        TRACE,
        "what the handler's span links to"
    );
    assert_eq!(header(wire::MSG_ID), format!("{id}.2"));
    assert_eq!(header(wire::TTL), "604800s");
    assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);

    // Once more, by somebody who listed it while it was open.
    let ends = replayed(&dead, letters, HOW).await;
    assert!(matches!(ends[0].end, ReplayEnd::Closed { .. }), "{ends:?}");
    assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);
    assert_eq!(sent(&world).await, 1);
}

#[tokio::test]
async fn what_was_claimed_and_not_sent_is_completed_and_what_is_on_its_way_is_awaited() {
    let world = World::start().await;
    let of = failed(1, "metrics.cpu");
    let id = world.letter(&of).await;
    // Somebody was killed between the claim and the message.
    let claim = world
        .record(&of, &id, &of.after_replay(Act::Replayed, None), 1)
        .await;
    let (dead, letters) = all(&world).await;
    let soon = Replay {
        within: Duration::from_millis(100),
        ..HOW
    };
    let ends = replayed(&dead, letters.clone(), soon).await;
    assert!(matches!(ends[0].end, ReplayEnd::Unanswered { .. }), "{ends:?}");
    let stored = world.stored("TW_PAYMENTS").await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].subject, format!("retry.payments.ship.{id}"));
    assert_eq!(stored[0].header(wire::TW_RECORD), claim.to_string());
    assert_eq!(stored[0].body, of.payload);

    let ends = replayed(&dead, letters.clone(), soon).await;
    assert!(matches!(ends[0].end, ReplayEnd::Unanswered { .. }), "{ends:?}");
    Service::start(&world).await.always(Act::Handled);
    // The service may be the faster one.
    let ends = replayed(&dead, letters, HOW).await;
    assert!(ends[0].end.is_good(), "{ends:?}");
    assert_eq!(sent(&world).await, 1, "it was on its way already");
    assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);
}

#[tokio::test]
async fn two_tools_at_once_send_each_letter_once() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for sequence in 1..=30 {
        ids.push(world.letter(&failed(sequence, "metrics.cpu")).await);
    }
    let (dead, letters) = all(&world).await;
    // Another process has another connection.
    let nats = connected(Connect::to(world.server.url())).await;
    let second = DeadLetters::open(&nats, "bob@desk").await.unwrap();
    Service::start(&world).await.always(Act::Handled);
    let (one, other) = tokio::join!(
        replayed(&dead, letters.clone(), HOW),
        replayed(&second, letters, HOW)
    );
    assert_eq!((one.len(), other.len()), (30, 30));
    assert_eq!(sent(&world).await, 30);
    for id in &ids {
        assert_eq!(world.acts(id).await, ["failed", "replayed", "handled"]);
    }
}

#[tokio::test]
async fn letters_of_one_key_wait_for_each_other_and_others_do_not() {
    let world = World::start().await;
    let (one, two) = (
        "orders.payments.payment.processed.p-1",
        "orders.payments.payment.processed.p-2",
    );
    // Not in the order in which their messages were stored.
    for (sequence, subject) in [(5, one), (2, two), (1, one), (4, "metrics.cpu")] {
        world.letter(&failed(sequence, subject)).await;
    }
    let (dead, letters) = all(&world).await;
    let mut service = Service::start(&world).await;
    let serving = async {
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(service.next().await);
        }
        let order: Vec<_> = heard.iter().map(|heard| heard.original.sequence).collect();
        assert_eq!(order, [1, 2, 4], "5 has the key of 1, which is not answered");
        service.answer(&heard[2], Act::Handled).await;
        service.answer(&heard[1], Act::Failed).await;
        service.answer(&heard[0], Act::Handled).await;
        let last = service.next().await;
        assert_eq!(last.original.sequence, 5);
        service.answer(&last, Act::Handled).await;
    };
    let (ends, ()) = tokio::join!(replayed(&dead, letters, HOW), serving);
    let again: Vec<_> = ends
        .iter()
        .filter(|end| matches!(end.end, ReplayEnd::Failed { .. }))
        .collect();
    assert_eq!((ends.len(), again.len()), (4, 1), "{ends:?}");
    assert_eq!(again[0].subject, two);
}

#[tokio::test]
async fn a_key_without_an_answer_stops_and_is_reported() {
    let world = World::start().await;
    for sequence in [1, 2, 3] {
        world
            .letter(&failed(sequence, "orders.payments.payment.processed.p-1"))
            .await;
    }
    let (dead, letters) = all(&world).await;
    let soon = Replay {
        within: Duration::from_millis(100),
        ..HOW
    };
    let ends: Vec<_> = replayed(&dead, letters, soon)
        .await
        .into_iter()
        .map(|end| end.end)
        .collect();
    assert!(
        matches!(
            ends[..],
            [
                ReplayEnd::Unanswered { .. },
                ReplayEnd::Behind { .. },
                ReplayEnd::Behind { .. }
            ]
        ),
        "{ends:?}"
    );
    assert_eq!(sent(&world).await, 1);
}

#[tokio::test]
async fn no_more_are_sent_in_a_second_than_the_rate() {
    let world = World::start().await;
    for sequence in 1..=6 {
        world.letter(&failed(sequence, "metrics.cpu")).await;
    }
    let (dead, letters) = all(&world).await;
    Service::start(&world).await.always(Act::Handled);
    let began = Instant::now();
    let ends = replayed(
        &dead,
        letters,
        Replay {
            rate: Some(20.0),
            ..HOW
        },
    )
    .await;
    assert_eq!(ends.len(), 6);
    assert!(
        began.elapsed() >= Duration::from_millis(250),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn more_letters_than_go_at_once_all_come_to_their_end() {
    let world = World::start().await;
    for sequence in 1..=250 {
        world.letter(&failed(sequence, "metrics.cpu")).await;
    }
    let (dead, letters) = all(&world).await;
    Service::start(&world).await.always(Act::Handled);
    let ends = replayed(&dead, letters, HOW).await;
    assert!(
        ends.len() == 250 && ends.iter().all(|end| matches!(end.end, ReplayEnd::Handled)),
        "{ends:?}"
    );
}

#[tokio::test]
async fn a_service_that_never_started_is_named_before_anything_is_claimed() {
    let world = World::start().await;
    let id = world
        .letter(&Failed {
            service: "shipping",
            ..failed(1, "metrics.cpu")
        })
        .await;
    let (dead, letters) = all(&world).await;
    let ends = replayed(&dead, letters, HOW).await;
    assert!(
        matches!(&ends[0].end, ReplayEnd::Refused { reason } if reason.contains("TW_SHIPPING")),
        "{ends:?}"
    );
    assert_eq!(world.acts(&id).await, ["failed"]);
}

#[tokio::test]
async fn a_message_too_large_for_the_retry_goes_through_the_object_store() {
    let world = World::start().await;
    let payload = vec![b'x'; world.nats.client().max_payload() - 100];
    world
        .letter(&Failed {
            payload: payload.clone().into(),
            ..failed(1, "metrics.cpu")
        })
        .await;
    let (dead, letters) = all(&world).await;
    let soon = Replay {
        within: Duration::from_millis(100),
        ..HOW
    };
    replayed(&dead, letters, soon).await;
    let stored = world.stored("TW_PAYMENTS").await;
    assert!(stored[0].body.is_empty());
    let store = world
        .nats
        .jetstream()
        .get_object_store(wire::LETTERS_BUCKET)
        .await
        .unwrap();
    let object = store.info(stored[0].header(wire::TW_OBJECT)).await.unwrap();
    assert!(object.size >= payload.len(), "{object:?}");
}

#[tokio::test]
async fn a_discarded_letter_is_replayed_for_who_names_it_alone() {
    let world = World::start().await;
    let of = failed(1, "metrics.cpu");
    let id = world.letter(&of).await;
    let (dead, open) = all(&world).await;
    world
        .record(&of, &id, &of.after_replay(Act::Discarded, None), 1)
        .await;
    let ends = replayed(&dead, open, HOW).await;
    assert!(matches!(ends[0].end, ReplayEnd::Closed { .. }), "{ends:?}");
    assert_eq!(sent(&world).await, 0);

    let named = dead
        .list(&Selection::named(id.as_str()).unwrap())
        .await
        .unwrap()
        .letters;
    Service::start(&world).await.always(Act::Handled);
    let ends = replayed(&dead, named, HOW).await;
    assert!(matches!(ends[0].end, ReplayEnd::Handled), "{ends:?}");
}

#[tokio::test]
async fn two_tools_at_once_keep_the_order_of_a_key() {
    let world = World::start().await;
    let keyed = "orders.payments.payment.processed.p-1";
    for (sequence, subject) in [(1, keyed), (2, keyed), (3, "metrics.cpu")] {
        world.letter(&failed(sequence, subject)).await;
    }
    let (dead, letters) = all(&world).await;
    let mut service = Service::start(&world).await;
    let soon = Replay {
        within: Duration::from_millis(300),
        ..HOW
    };
    // Nobody answers: whichever tool comes second must not send the next of the key either.
    tokio::join!(
        replayed(&dead, letters.clone(), soon),
        replayed(&dead, letters, soon)
    );
    let order = [service.next().await, service.next().await].map(|heard| heard.original.sequence);
    assert_eq!((order, sent(&world).await), ([1, 3], 2));
}
