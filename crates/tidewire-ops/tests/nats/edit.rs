//! Changing what a letter holds.

use tidewire::dead_letter::{Act, LetterState};
use tidewire_ops::{Edit, LetterError, LetterView, OpsError};

use crate::{
    letters::{Service, World, failed},
    replay::{HOW, all, replayed},
};

#[tokio::test]
async fn the_new_message_is_replayed_and_the_original_stays() {
    let world = World::start().await;
    let of = failed(1, "metrics.cpu");
    let id = world.letter(&of).await;
    let (dead, letters) = all(&world).await;
    let before = dead.read(&letters[0]).await.unwrap();
    let patch = Edit::Patch(r#"[{"op":"add","path":"/currency","value":"EUR"}]"#.into());
    let edited = dead.edit(&before, &patch).await.unwrap();
    assert!(edited.changed);
    let letter = dead.read(&letters[0]).await.unwrap();
    assert_eq!(letter.original(), Some(&of.original()));
    let message = letter.message().unwrap();
    assert_eq!(message.payload, r#"{"currency":"EUR","number":1}"#);
    assert_eq!(message.headers, of.headers);
    assert_eq!(letter.state(), LetterState::Open);
    let view = LetterView::of(&letter, Vec::new()).unwrap();
    assert!(
        view.history[0].message.is_some() && view.history[1].message.is_none(),
        "{view:?}"
    );
    assert_eq!(view.history[1].by, "ana@desk");

    // Who had read it before the edit does not undo it.
    let late = dead.edit(&before, &Edit::Payload("{}".into())).await;
    assert!(
        matches!(late, Err(OpsError::Letter(LetterError::Outrun { .. }))),
        "{late:?}"
    );

    let mut service = Service::start(&world).await;
    let serving = async {
        let heard = service.next().await;
        service.answer(&heard, Act::Handled).await;
        heard.original.payload
    };
    let (_, payload) = tokio::join!(replayed(&dead, letters, HOW), serving);
    assert_eq!(payload, message.payload);
    assert_eq!(world.acts(&id).await, ["failed", "edited", "replayed", "handled"]);
}

#[tokio::test]
async fn where_nothing_changes_or_nothing_may_nothing_is_stored() {
    let world = World::start().await;
    let of = failed(1, "metrics.cpu");
    let id = world.letter(&of).await;
    let (dead, letters) = all(&world).await;
    let letter = dead.read(&letters[0]).await.unwrap();
    let same = Edit::Payload(of.payload.clone());
    assert!(!dead.edit(&letter, &same).await.unwrap().changed);
    let wrong = Edit::Patch(r#"[{"op":"remove","path":"/absent"}]"#.into());
    let refused = dead.edit(&letter, &wrong).await;
    assert!(
        matches!(refused, Err(OpsError::Letter(LetterError::Change(_)))),
        "{refused:?}"
    );
    assert_eq!(world.acts(&id).await, ["failed"]);

    world
        .record(&of, &id, &of.after_replay(Act::Replayed, None), 1)
        .await;
    let letter = dead.read(&letters[0]).await.unwrap();
    let refused = dead.edit(&letter, &Edit::Payload("{}".into())).await;
    assert!(
        matches!(refused, Err(OpsError::Letter(LetterError::NotOpen { .. }))),
        "{refused:?}"
    );
}
