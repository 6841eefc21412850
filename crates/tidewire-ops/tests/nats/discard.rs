//! Giving up.

use tidewire::{
    dead_letter::{Act, LetterState},
    wire,
};
use tidewire_ops::{DeadLetters, LetterError, OpsError, Selection};

use crate::letters::{World, failed};

#[tokio::test]
async fn a_letter_is_discarded_once_with_who_and_why() {
    let world = World::start().await;
    let id = world.letter(&failed(1, "metrics.cpu")).await;
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    let listed = dead
        .list(&Selection::named(id.as_str()).unwrap())
        .await
        .unwrap()
        .letters;
    let (one, other) = tokio::join!(
        dead.discard(&listed[0], "a test"),
        dead.discard(&listed[0], "a test")
    );
    let outrun = [one, other]
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>();
    assert!(
        matches!(
            outrun[..],
            [OpsError::Letter(LetterError::Outrun {
                state: LetterState::Discarded,
                ..
            })]
        ),
        "{outrun:?}"
    );
    let listed = dead
        .list(&Selection::named(id.as_str()).unwrap())
        .await
        .unwrap()
        .letters;
    assert!(dead.discard(&listed[0], "again").await.unwrap().before);
    assert_eq!(world.acts(&id).await, ["failed", "discarded"]);
    let record = world.stored(wire::DLQ_STREAM).await.pop().unwrap();
    assert_eq!(
        [wire::TW_BY, wire::TW_REASON, wire::TW_CONSUMER].map(|name| record.header(name)),
        ["ana@desk", "a test", "payments__ship"]
    );
    assert_eq!(dead.list(&Selection::default()).await.unwrap().letters.len(), 0);
}

#[tokio::test]
async fn what_is_under_way_is_not_discarded() {
    let world = World::start().await;
    let of = failed(1, "metrics.cpu");
    let id = world.letter(&of).await;
    world
        .record(&of, &id, &of.after_replay(Act::Replayed, None), 1)
        .await;
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    let listed = dead.list(&Selection::default()).await.unwrap().letters;
    let refused = dead.discard(&listed[0], "a test").await;
    assert!(
        matches!(refused, Err(OpsError::Letter(LetterError::NotOpen { .. }))),
        "{refused:?}"
    );
    assert_eq!(world.acts(&id).await, ["failed", "replayed"]);
}
