use super::{Books, Entry, Letter};
use crate::jobs::{FORGETS, Kind};

/// A job that is stored, and where `then` says, has come to an end.
fn stored(kind: Kind, then: fn(&mut Entry)) -> Entry {
    let mut entry = Entry::posted(kind, true);
    entry.sequence = Some(1);
    then(&mut entry);
    entry
}

fn handled(entry: &mut Entry) {
    entry.handled = true;
    entry.effects = 1;
    entry.runs = vec![("w1".into(), 1)];
}

fn kept(entry: &mut Entry) {
    entry.letter = Some(Letter::Open);
    entry.failed = 1;
    entry.attempts = 1;
    entry.class = "rejected".into();
}

fn discarded(entry: &mut Entry) {
    kept(entry);
    entry.letter = Some(Letter::Discarded);
}

fn fine() -> Entry {
    stored(Kind::Fine, handled)
}

#[test]
fn what_ends_as_it_should_is_no_fault() {
    let repaired = |entry: &mut Entry| {
        kept(entry);
        handled(entry);
        entry.letter = Some(Letter::Handled);
        entry.replayed = 1;
        entry.runs.push(("w1".into(), 2));
    };
    let jobs = vec![
        fine(),
        stored(Kind::Reject, kept),
        stored(Kind::Discard, discarded),
        stored(Kind::Fine, |entry| entry.parked = 1),
        stored(Kind::Mend, repaired),
        // Nobody was told that it was stored.
        Entry::posted(Kind::Fine, false),
    ];
    assert_eq!(Books::of(jobs).faults(), Vec::<String>::new());
}

#[test]
fn each_broken_promise_is_named() {
    type Then = fn(&mut Entry);
    let broken: [(&str, Kind, Then); 15] = [
        ("confirmed by the stream and lost by it", Kind::Fine, |entry| {
            entry.sequence = None;
        }),
        (
            "neither handled nor in the dead letters nor parked",
            Kind::Fine,
            |_| {},
        ),
        ("handled and in the dead letters too", Kind::Fine, |entry| {
            kept(entry);
            handled(entry);
        }),
        (
            "parked, and handled or in the dead letters too",
            Kind::Fine,
            |entry| {
                handled(entry);
                entry.parked = 1;
            },
        ),
        (
            "parked, and handled or in the dead letters too",
            Kind::Reject,
            |entry| {
                kept(entry);
                entry.parked = 1;
            },
        ),
        ("parked more than once", Kind::Fine, |entry| entry.parked = 2),
        ("more than one effect", Kind::Fine, |entry| {
            handled(entry);
            entry.effects = 2;
        }),
        (
            "handled by the ledger, and without an effect",
            Kind::Fine,
            |entry| {
                handled(entry);
                entry.effects = 0;
            },
        ),
        ("an effect, and not handled by the ledger", Kind::Fine, |entry| {
            handled(entry);
            entry.handled = false;
        }),
        (
            "more records of a failure than it was tried for",
            Kind::Reject,
            |entry| {
                kept(entry);
                entry.failed = 2;
            },
        ),
        ("healthy, and in the dead letters", Kind::Once, kept),
        ("run more often than its dead letter says", Kind::Never, |entry| {
            kept(entry);
            entry.runs = vec![("w1".into(), 1), ("w2".into(), 2)];
        }),
        ("handled, and must not be", Kind::Reject, handled),
        ("discarded by its rule, and an open letter", Kind::Discard, kept),
        ("discarded by no rule", Kind::Reject, discarded),
    ];
    for (what, kind, then) in broken {
        let faults = Books::of(vec![fine(), stored(kind, then)]).faults();
        let named = format!("{what}: 1; ");
        assert!(
            faults.iter().any(|fault| fault.starts_with(&named)),
            "{what}: {faults:?}"
        );
    }
}

#[test]
fn a_stream_that_may_hide_a_second_effect_is_a_fault_where_there_is_to_be_one() {
    let with = |window| Books {
        window,
        ..Books::of(vec![fine()])
    };
    assert_eq!(with(None).faults().len(), 0);
    assert_eq!(with(Some(FORGETS)).faults().len(), 0);
    assert_eq!(with(Some(FORGETS * 2)).faults().len(), 1);
}

#[test]
fn an_effect_without_its_data_is_a_fault() {
    let books = Books {
        absent: vec!["nats-object:bucket/object".into()],
        ..Books::of(vec![fine()])
    };
    assert_eq!(books.faults().len(), 1);
}

#[test]
fn books_without_a_message_show_nothing() {
    assert_eq!(Books::of(Vec::new()).faults().len(), 1);
}

#[test]
fn what_the_sequences_show_is_a_fault_of_the_books() {
    let mut places = super::Places::of(crate::jobs::Source::Jobs);
    places.at(1).stored = true;
    let books = Books {
        places: vec![places],
        ..Books::of(vec![fine()])
    };
    assert_eq!(books.faults().len(), 1, "{:?}", books.faults());
}
