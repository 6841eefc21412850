use super::{Books, Entry};
use crate::jobs::{End, FORGETS, Kind};

/// A job that is stored and has come to no end.
fn stored(kind: Kind) -> Entry {
    Entry {
        sequence: Some(1),
        ..Entry::posted(kind, true)
    }
}

fn handled(kind: Kind) -> Entry {
    Entry {
        effects: 1,
        runs: vec![("w1".into(), 1)],
        ..stored(kind)
    }
}

fn letter(kind: Kind, end: End) -> Entry {
    Entry {
        letter: Some(end),
        records: 1,
        attempts: 1,
        class: "rejected".into(),
        ..stored(kind)
    }
}

#[test]
fn what_ends_as_it_should_is_no_fault() {
    let jobs = vec![
        handled(Kind::Fine),
        letter(Kind::Reject, End::Letter),
        letter(Kind::Discard, End::Discarded),
        Entry {
            parked: 1,
            ..stored(Kind::Fine)
        },
        // Nobody was told that it was stored.
        Entry::posted(Kind::Fine, false),
    ];
    assert_eq!(Books::of(jobs).faults(), Vec::<String>::new());
}

#[test]
fn each_broken_promise_is_named() {
    let broken = [
        (
            "confirmed by the stream and lost by it",
            Entry::posted(Kind::Fine, true),
        ),
        (
            "neither handled nor in the dead letters nor parked",
            stored(Kind::Fine),
        ),
        (
            "handled and in the dead letters too",
            Entry {
                effects: 1,
                ..letter(Kind::Fine, End::Letter)
            },
        ),
        (
            "parked, and handled or in the dead letters too",
            Entry {
                parked: 1,
                ..handled(Kind::Fine)
            },
        ),
        (
            "parked, and handled or in the dead letters too",
            Entry {
                parked: 1,
                ..letter(Kind::Reject, End::Letter)
            },
        ),
        (
            "parked more than once",
            Entry {
                parked: 2,
                ..stored(Kind::Fine)
            },
        ),
        (
            "more than one effect",
            Entry {
                effects: 2,
                ..handled(Kind::Fine)
            },
        ),
        (
            "more than one record of its dead letter",
            Entry {
                records: 2,
                ..letter(Kind::Reject, End::Letter)
            },
        ),
        (
            "healthy, and in the dead letters",
            letter(Kind::Once, End::Letter),
        ),
        (
            "run more often than its dead letter says",
            Entry {
                runs: vec![("w1".into(), 1), ("w2".into(), 2)],
                ..letter(Kind::Never, End::Letter)
            },
        ),
        ("handled, and must not be", handled(Kind::Reject)),
        (
            "discarded by its rule, and an open letter",
            letter(Kind::Discard, End::Letter),
        ),
        ("discarded by no rule", letter(Kind::Reject, End::Discarded)),
    ];
    for (what, entry) in broken {
        let faults = Books::of(vec![handled(Kind::Fine), entry]).faults();
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with(&format!("{what}: 1; "))),
            "{what}: {faults:?}"
        );
    }
}

#[test]
fn a_stream_that_may_hide_a_second_effect_is_a_fault_where_there_is_to_be_one() {
    let with = |window| Books {
        window,
        ..Books::of(vec![handled(Kind::Fine)])
    };
    assert_eq!(with(None).faults().len(), 0);
    assert_eq!(with(Some(FORGETS)).faults().len(), 0);
    assert_eq!(with(Some(FORGETS * 2)).faults().len(), 1);
}

#[test]
fn an_effect_without_its_data_is_a_fault() {
    let books = Books {
        absent: vec!["nats-object:bucket/object".into()],
        ..Books::of(vec![handled(Kind::Fine)])
    };
    assert_eq!(books.faults().len(), 1);
}

#[test]
fn books_without_a_message_show_nothing() {
    assert_eq!(Books::of(Vec::new()).faults().len(), 1);
}
