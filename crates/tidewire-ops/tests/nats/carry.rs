//! Out as lines of text, and in again.

use tidewire::dead_letter::{Act, LetterState, OriginalHeaders};
use tidewire_ops::{DeadLetters, Edit, Imported, LetterError, LetterView, OpsError};

use crate::{
    letters::{Failed, World, failed},
    replay::all,
};

/// Letters of every form: plain, poison, too large for any message, no text, and edited since.
async fn every_form(world: &World) {
    let broken = OriginalHeaders::Broken(b"NATS/1.0\r\nno colon \xff\r\n\r\n".to_vec().into());
    let large = vec![7; world.nats.client().max_payload()];
    let of = failed(1, "orders.payments.payment.processed.p-1");
    let id = world.letter(&of).await;
    world
        .letter(&Failed {
            headers: broken,
            ..failed(2, "metrics.cpu")
        })
        .await;
    world
        .letter(&Failed {
            payload: large.into(),
            ..failed(3, "metrics.cpu")
        })
        .await;
    world
        .letter(&Failed {
            payload: vec![0xff, 0, 0x1b].into(),
            ..failed(4, "metrics.cpu")
        })
        .await;
    world
        .record(&of, &id, &of.after_replay(Act::Replayed, None), 1)
        .await;
    let (dead, letters) = all(world).await;
    let letter = dead.read(&letters[3]).await.unwrap();
    dead.edit(&letter, &Edit::Payload("another\u{1b}".into()))
        .await
        .unwrap();
}

async fn lines(world: &World) -> Vec<String> {
    let (dead, letters) = all(world).await;
    let mut lines = Vec::new();
    for letter in &letters {
        lines.push(serde_json::to_string(&dead.export(letter).await.unwrap()).unwrap());
    }
    lines
}

#[tokio::test]
async fn what_was_exported_and_imported_is_the_same_to_the_byte() {
    let world = World::start().await;
    every_form(&world).await;
    let lines_before = lines(&world).await;
    assert_eq!(lines_before.len(), 4);

    let other = World::start().await;
    let (dead, _) = all(&other).await;
    for (number, line) in lines_before.iter().enumerate() {
        assert_eq!(
            dead.import("letters.ndjson", number + 1, line).await.unwrap(),
            Imported::Stored
        );
    }
    assert_eq!(lines(&other).await, lines_before);
    let (here, ours) = all(&world).await;
    let (there, theirs) = all(&other).await;
    for (one, two) in ours.iter().zip(&theirs) {
        let (one, two) = (here.read(one).await.unwrap(), there.read(two).await.unwrap());
        assert_eq!((&one.id, one.state()), (&two.id, two.state()));
        let records = |letter: &tidewire::dead_letter::Letter| {
            letter
                .records()
                .iter()
                .map(|stored| (stored.time, stored.record.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(records(&one), records(&two));
    }

    let records = other.stored("TIDEWIRE_DLQ").await.len();
    for (number, line) in lines_before.iter().enumerate() {
        assert_eq!(
            dead.import("letters.ndjson", number + 1, line).await.unwrap(),
            Imported::There
        );
    }
    assert_eq!(
        other.stored("TIDEWIRE_DLQ").await.len(),
        records,
        "a second import stores nothing"
    );
}

#[tokio::test]
async fn an_import_that_was_broken_off_is_brought_to_its_end_and_others_letters_are_left_alone() {
    let world = World::start().await;
    every_form(&world).await;
    let line = lines(&world).await.remove(0);
    let other = World::start().await;
    let (dead, _) = all(&other).await;
    let mut half: serde_json::Value = serde_json::from_str(&line).unwrap();
    half["records"].as_array_mut().unwrap().truncate(1);
    dead.import("letters.ndjson", 1, &half.to_string()).await.unwrap();
    assert_eq!(
        dead.import("letters.ndjson", 1, &line).await.unwrap(),
        Imported::Stored
    );
    assert_eq!(lines(&other).await, std::slice::from_ref(&line));

    // The same message failed here by itself, with another story.
    let third = World::start().await;
    let of = Failed {
        error: "another",
        ..failed(1, "orders.payments.payment.processed.p-1")
    };
    let id = third.letter(&of).await;
    let (dead, _) = all(&third).await;
    assert_eq!(
        dead.import("letters.ndjson", 1, &line).await.unwrap(),
        Imported::There
    );
    assert_eq!(third.acts(&id).await, ["failed"]);
}

#[tokio::test]
async fn of_each_record_it_is_said_who_imported_it_and_from_where() {
    let world = World::start().await;
    every_form(&world).await;
    let line = lines(&world).await.remove(0);
    let other = World::start().await;
    let import = async |by: &str, from: &str, line: &str| {
        let dead = DeadLetters::open(&other.nats, by).await.unwrap();
        dead.import(from, 1, line).await.unwrap()
    };
    let mut half: serde_json::Value = serde_json::from_str(&line).unwrap();
    half["records"].as_array_mut().unwrap().truncate(1);
    import("ana@desk", "half.ndjson", &half.to_string()).await;
    import("bob\u{7}@desk", &"x".repeat(200), &line).await;
    assert_eq!(import("eve@desk", "again.ndjson", &line).await, Imported::There);
    let (dead, letters) = all(&other).await;
    let letter = dead.read(&letters[0]).await.unwrap();
    let history = LetterView::of(&letter, Vec::new()).unwrap().history;
    let acts: Vec<_> = history
        .iter()
        .map(|record| (&*record.act, &*record.by, record.reason.as_deref()))
        .collect();
    let rest = format!("from {}", "x".repeat(100));
    assert_eq!(
        acts[..2],
        [
            ("failed", "payments on host-1", None),
            ("imported", "ana@desk", Some("from half.ndjson"))
        ]
    );
    assert_eq!(acts.last(), Some(&("imported", "bob @desk", Some(&*rest))));
    assert_eq!(acts.len(), letter.records().len() + 2);
    let [written, brought] = [0, 1].map(|at: usize| history[at].time);
    assert!(brought > written, "{history:?}");
    // Somebody was replaying it there: an import is no act that changes where a letter stands.
    assert_eq!(letter.state(), LetterState::Replaying);
}

#[tokio::test]
async fn a_line_that_is_none_is_named_and_cannot_write_elsewhere() {
    let world = World::start().await;
    world.letter(&failed(1, "metrics.cpu")).await;
    let good = lines(&world).await.remove(0);
    let other = World::start().await;
    let (dead, _) = all(&other).await;
    for (bad, said) in [
        ("no json".to_owned(), "expected"),
        (
            good.replace(r#""dead_letter":1"#, r#""dead_letter":2"#),
            "its form is 2",
        ),
        (
            good.replace(r#""durable":"ship""#, r#""durable":"*""#),
            "no subject of a letter",
        ),
        (
            good.replace(
                r#"["Tw-Act","failed"]"#,
                r#"["Tw-Act","failed"],["Nats-Rollup","all"]"#,
            ),
            "Nats-Rollup",
        ),
        (
            good.replace(r#"["Tw-Act","failed"]"#, r#"["Tw-Act","flown"]"#),
            "Tw-Act",
        ),
        (
            good.replace("Tw-Stream\"", "Tw-Dream\""),
            "does not hold the message",
        ),
    ] {
        let refused = dead.import("letters.ndjson", 7, &bad).await;
        assert!(
            matches!(&refused, Err(OpsError::Letter(LetterError::Import { line: 7, reason })) if reason.contains(said)),
            "{said}: {refused:?}"
        );
    }
    assert_eq!(other.stored("TIDEWIRE_DLQ").await.len(), 0);
}
