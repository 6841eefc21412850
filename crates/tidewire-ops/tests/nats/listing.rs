//! What there is, by group and by filter.

use tidewire::dead_letter::{Act, LetterState, OriginalHeaders};
use tidewire_ops::{DeadLetters, LetterError, LetterView, Listed, OpsError, Selection, groups};

use crate::letters::{Failed, World, failed, time};

async fn listed(world: &World, selection: Selection) -> Vec<Listed> {
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    let listing = dead.list(&selection).await.unwrap();
    assert_eq!(listing.unreadable.len(), 0, "{listing:?}");
    listing.letters
}

fn places(letters: &[Listed]) -> Vec<u64> {
    letters.iter().map(|letter| letter.sequence).collect()
}

#[tokio::test]
async fn groups_hold_what_failed_alike_and_count_states() {
    let world = World::start().await;
    let processed = "orders.payments.payment.processed.p-1";
    let ids = [
        world
            .letter(&Failed {
                error: "order o-17 is unknown",
                ..failed(1, processed)
            })
            .await,
        world
            .letter(&Failed {
                error: "order o-9000 is unknown",
                first: "2026-03-20T09:30:00Z",
                at: "2026-03-21T10:00:00Z",
                ..failed(2, processed)
            })
            .await,
        world
            .letter(&Failed {
                error: "order o-18 is closed",
                ..failed(3, processed)
            })
            .await,
    ];
    let of_one = failed(1, processed);
    world
        .record(&of_one, &ids[0], &of_one.after_replay(Act::Discarded, None), 1)
        .await;

    let letters = listed(&world, Selection::default()).await;
    assert_eq!(places(&letters), [2, 3], "a discarded letter is not open");
    let all = Selection {
        closed: true,
        ..Selection::default()
    };
    let letters = listed(&world, all).await;
    let groups = groups(&letters);
    assert_eq!(groups.len(), 2, "{groups:?}");
    let unknown = groups
        .iter()
        .find(|group| group.error.contains("unknown"))
        .unwrap();
    assert_eq!((unknown.open, unknown.discarded), (1, 1));
    assert_eq!(
        unknown.error, "order o-9000 is unknown",
        "the newest one is the sample"
    );
    assert_eq!(unknown.first_failed, time("2026-03-20T09:30:00Z"));
    assert_eq!(unknown.last_failed, time("2026-03-21T10:00:00Z"));
    assert_eq!(letters[0].state, LetterState::Discarded);
}

/// Narrows a selection of everything.
type Narrow = fn(&mut Selection);

#[tokio::test]
async fn each_filter_leaves_what_it_names() {
    let world = World::start().await;
    world
        .letter(&failed(1, "orders.payments.payment.processed.p=2E1"))
        .await;
    world
        .letter(&Failed {
            durable: "bill",
            ..failed(2, "orders.payments.payment.refunded.p-2")
        })
        .await;
    world
        .letter(&Failed {
            service: "shipping",
            ..failed(3, "metrics.cpu")
        })
        .await;
    world
        .letter(&Failed {
            class: "malformed",
            at: "2026-03-22T10:00:00Z",
            ..failed(4, "orders.payments.payment.processed.p-4")
        })
        .await;
    let all = listed(&world, Selection::default()).await;
    assert_eq!(places(&all), [1, 2, 3, 4]);
    let filters: [(Narrow, &[u64]); 11] = [
        (|of| of.service = Some("shipping".into()), &[3]),
        (|of| of.durable = Some("ship".into()), &[1, 3, 4]),
        (|of| of.durable = Some("payments__ship".into()), &[1, 4]),
        (
            |of| (of.service, of.durable) = (Some("payments".into()), Some("bill".into())),
            &[2],
        ),
        (
            |of| (of.service, of.durable) = (Some("shipping".into()), Some("payments__ship".into())),
            &[],
        ),
        (|of| of.class = Some("malformed".into()), &[4]),
        (
            |of| of.message = Some("orders.payments.payment.processed".into()),
            &[1, 4],
        ),
        (|of| of.message = Some("metrics.>".into()), &[3]),
        (|of| of.key = Some("p.1".into()), &[1]),
        (|of| of.since = Some(time("2026-03-22T10:00:00Z")), &[4]),
        (|of| of.until = Some(time("2026-03-22T10:00:00Z")), &[1, 2, 3]),
    ];
    for (filter, wanted) in filters {
        let mut selection = Selection::default();
        filter(&mut selection);
        assert_eq!(
            places(&listed(&world, selection.clone()).await),
            wanted,
            "{selection:?}"
        );
    }
    let group = Selection {
        group: Some(all[1].group.clone()),
        ..Selection::default()
    };
    assert_eq!(places(&listed(&world, group).await), [2]);
    let letter = Selection {
        letter: Some(all[2].letter.clone()),
        ..Selection::default()
    };
    assert_eq!(places(&listed(&world, letter).await), [3]);
    // A wildcard is no name.
    let star = Selection {
        service: Some("*".into()),
        ..Selection::default()
    };
    assert_eq!(places(&listed(&world, star).await), [0; 0]);
}

#[tokio::test]
async fn thousands_of_letters_are_listed_without_their_messages() {
    let world = World::start().await;
    let body = vec![b'x'; 4 << 10];
    for sequence in 1..=1200 {
        let large = Failed {
            payload: body.clone().into(),
            ..failed(sequence, "orders.payments.payment.processed.p-1")
        };
        world.letter(&large).await;
    }
    let before = received(&world);
    let letters = listed(&world, Selection::default()).await;
    assert_eq!(places(&letters), (1..=1200).collect::<Vec<_>>());
    let read = received(&world) - before;
    assert!(read < 1200 * 2048, "{read} bytes came, so the bodies did");
}

fn received(world: &World) -> u64 {
    world
        .nats
        .client()
        .statistics()
        .in_bytes
        .load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn what_is_no_record_is_named_and_hides_nothing_else() {
    let world = World::start().await;
    world.letter(&failed(1, "metrics.cpu")).await;
    let js = world.nats.jetstream();
    for subject in ["dlq.stray", "dlq.payments.ship.aaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        js.publish(subject, "junk".into()).await.unwrap().await.unwrap();
    }
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    let listing = dead.list(&Selection::default()).await.unwrap();
    assert_eq!(places(&listing.letters), [1]);
    let unreadable: Vec<_> = listing.unreadable.iter().map(|found| found.sequence).collect();
    assert_eq!(unreadable, [2, 3]);
    assert!(listing.unreadable[1].reason.contains("Tw-Act"), "{listing:?}");
}

#[tokio::test]
async fn a_letter_is_read_whole_in_each_of_its_forms() {
    let world = World::start().await;
    let broken = OriginalHeaders::Broken("NATS/1.0\r\nno colon\r\n\r\n".into());
    let large = vec![7; world.nats.client().max_payload()];
    let cases = [
        failed(1, "metrics.cpu"),
        Failed {
            headers: broken,
            ..failed(2, "metrics.cpu")
        },
        Failed {
            payload: large.into(),
            ..failed(3, "metrics.cpu")
        },
    ];
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    for case in &cases {
        world.letter(case).await;
    }
    let letters = listed(&world, Selection::default()).await;
    assert_eq!(letters.len(), 3);
    for (case, letter) in cases.iter().zip(&letters) {
        let letter = dead.read(letter).await.unwrap();
        assert_eq!(letter.original(), Some(&case.original()));
        let view = LetterView::of(&letter, Vec::new()).unwrap();
        assert_eq!(view.broken_headers.is_some(), case.sequence == 2);
        assert_eq!(view.history[0].by, "payments on host-1");
    }
}

#[tokio::test]
async fn without_a_stream_there_are_none() {
    let world = World::without_streams().await;
    let opened = DeadLetters::open(&world.nats, "ana@desk").await;
    assert!(
        matches!(opened, Err(OpsError::Letter(LetterError::NoStream))),
        "{opened:?}"
    );
}
