//! Publishing to the original subject again.

use tidewire::{
    dead_letter::{Act, LetterId, OriginalHeaders},
    wire,
};
use tidewire_ops::{Replay, ReplayEnd};

use crate::{
    letters::{Failed, World, failed, map},
    replay::{HOW, all, replayed},
};

const TO_SUBJECT: Replay = Replay {
    to_subject: true,
    ..HOW
};
const SUBJECT: &str = "orders.payments.payment.processed.p-1";

fn sent() -> Failed<'static> {
    let headers = [
        ("Nats-Msg-Id", "evt_1"),
        ("Nats-Expected-Last-Sequence", "0"),
        ("x-tenant", "acme"),
    ];
    Failed {
        headers: OriginalHeaders::Parsed(headers.map(|(name, value)| (name.into(), value.into())).to_vec()),
        ..failed(1, SUBJECT)
    }
}

/// A world whose stream has the message that failed.
async fn world() -> (World, LetterId) {
    let world = World::start().await;
    world.stream("ORDERS__PAYMENTS", &["orders.payments.>"]).await;
    publish(&world, "evt_1").await;
    let id = world.letter(&sent()).await;
    (world, id)
}

async fn publish(world: &World, id: &str) {
    let headers = map(&[("Nats-Msg-Id", id.to_owned())]);
    let publish = world
        .nats
        .jetstream()
        .publish_with_headers(SUBJECT, headers, "{}".into())
        .await;
    publish.unwrap().await.unwrap();
}

#[tokio::test]
async fn the_message_is_published_under_a_new_id_and_that_is_recorded() {
    let (world, id) = world().await;
    let (dead, letters) = all(&world).await;
    let ends = replayed(&dead, letters.clone(), TO_SUBJECT).await;
    assert!(
        matches!(ends[0].end, ReplayEnd::Republished { sequence: 2, .. }),
        "{ends:?}"
    );
    let stored = world.stored("ORDERS__PAYMENTS").await;
    assert_eq!(
        stored.len(),
        2,
        "the duplicate window has evt_1, and still it is stored"
    );
    assert_eq!(stored[1].header("Nats-Msg-Id"), format!("{id}.2"));
    assert_eq!(stored[1].header("x-tenant"), "acme");
    assert_eq!(stored[1].header("Nats-Expected-Last-Sequence"), "");
    assert_eq!(stored[1].body, sent().payload);
    assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);
    let record = world.stored(wire::DLQ_STREAM).await.pop().unwrap();
    assert_eq!(
        record.header(wire::TW_REASON),
        format!("republished to {SUBJECT} as ORDERS__PAYMENTS:2")
    );

    let ends = replayed(&dead, letters, TO_SUBJECT).await;
    assert!(matches!(ends[0].end, ReplayEnd::Closed { .. }), "{ends:?}");
    assert_eq!(world.stored("ORDERS__PAYMENTS").await.len(), 2);
}

#[tokio::test]
async fn killed_before_or_after_the_publish_it_is_completed_once() {
    for was_published in [false, true] {
        let (world, id) = world().await;
        let mut claim = sent().after_replay(Act::Replayed, None);
        claim.reason = Some(format!("to the subject {SUBJECT}"));
        world.record(&sent(), &id, &claim, 1).await;
        if was_published {
            publish(&world, &format!("{id}.2")).await;
        }
        let (dead, letters) = all(&world).await;
        // The other way would have the handler do it, and every other reader not.
        let ends = replayed(&dead, letters.clone(), HOW).await;
        assert!(
            matches!(&ends[0].end, ReplayEnd::Refused { reason } if reason.contains("--to-subject")),
            "{ends:?}"
        );
        let ends = replayed(&dead, letters, TO_SUBJECT).await;
        assert!(
            matches!(ends[0].end, ReplayEnd::Republished { sequence: 2, .. }),
            "{ends:?}"
        );
        assert_eq!(world.stored("ORDERS__PAYMENTS").await.len(), 2);
        assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);
    }
}

#[tokio::test]
async fn two_at_once_publish_once() {
    let (world, id) = world().await;
    let (dead, letters) = all(&world).await;
    tokio::join!(
        replayed(&dead, letters.clone(), TO_SUBJECT),
        replayed(&dead, letters, TO_SUBJECT)
    );
    assert_eq!(world.stored("ORDERS__PAYMENTS").await.len(), 2);
    assert_eq!(world.acts(&id).await, ["failed", "replayed", "handled"]);
}

#[tokio::test]
async fn a_stream_that_stores_nothing_for_a_known_id_is_no_success() {
    let (world, id) = world().await;
    // Something else took the id; so the publish is a duplicate of it.
    publish(&world, &format!("{id}.2")).await;
    let (dead, letters) = all(&world).await;
    let ends = replayed(&dead, letters, TO_SUBJECT).await;
    let said = format!("has a message with the id `{id}.2` already, at 2");
    assert!(
        matches!(&ends[0].end, ReplayEnd::Refused { reason } if reason.contains(&said)),
        "{ends:?}"
    );
    assert_eq!(world.acts(&id).await, ["failed", "replayed"]);
}

#[tokio::test]
async fn what_nobody_captures_or_nobody_can_read_is_refused_before_the_claim() {
    let world = World::start().await;
    world.stream("ORDERS__PAYMENTS", &["orders.payments.>"]).await;
    let broken = OriginalHeaders::Broken("NATS/1.0\r\nno colon\r\n\r\n".into());
    let mut ids = Vec::new();
    for of in [
        failed(1, "metrics.cpu"),
        Failed {
            headers: broken,
            ..failed(2, SUBJECT)
        },
        failed(3, "dlq.payments.ship.x"),
    ] {
        ids.push(world.letter(&of).await);
    }
    let (dead, letters) = all(&world).await;
    let ends = replayed(&dead, letters, TO_SUBJECT).await;
    for (end, said) in ends.iter().zip([
        "no stream captures it",
        "headers cannot be read",
        "not one to publish to",
    ]) {
        assert!(
            matches!(&end.end, ReplayEnd::Refused { reason } if reason.contains(said)),
            "{end:?}"
        );
    }
    for id in &ids {
        assert_eq!(world.acts(id).await, ["failed"]);
    }
}
