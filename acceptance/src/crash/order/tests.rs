use super::*;
use crate::jobs::{Kind, Source};

/// Four jobs of the first key, the third of which is rejected.
const JOBS: [usize; 4] = [0, KEYS, 2 * KEYS, 3 * KEYS];
const SECOND: u64 = 1_000_000;

fn books() -> Books {
    let job = |number: usize| {
        let kind = if number == JOBS[2] {
            Kind::Reject
        } else {
            Kind::Fine
        };
        let mut entry = Entry::posted(kind, true);
        entry.sequence = Some(number as u64 + 1);
        entry.kept = (number == JOBS[2]).then_some(5);
        entry
    };
    Books::of((0..=JOBS[3]).map(job).collect())
}

/// Lines such as `1 leads`, `1 begins 0`, `1 well 0`, `1 ill 0`, each a microsecond after the one before; `+` is the pause
/// after which nothing is repeated.
fn ledger(text: &str) -> Vec<Line> {
    let (mut lines, mut at) = (Vec::new(), 0);
    for line in text.split(", ") {
        at += 1;
        let words: Vec<_> = line.split(' ').collect();
        let job = |text: &str| JOBS[text.parse::<usize>().unwrap()];
        let what = match words[..] {
            ["+"] => {
                at += 2 * SECOND;
                continue;
            }
            [_, "leads"] => What::Leads,
            [_, "dies"] => What::Dies,
            [_, "stops"] => What::Stops,
            [_, "freezing"] => What::Freezing,
            [_, "freezes"] => What::Freezes,
            [_, "thaws"] => What::Thaws,
            [_, "begins", number] => What::Begins {
                number: job(number),
                attempt: 1,
            },
            [_, word, number] => What::Ends {
                number: job(number),
                source: Source::Jobs,
                sequence: 1,
                well: word == "well",
            },
            _ => panic!("{line}"),
        };
        let worker = words[0].to_owned();
        lines.push(Line { at, worker, what });
    }
    lines
}

fn found(text: &str) -> Vec<String> {
    faults(&ledger(text), &books())
}

#[test]
fn one_after_the_other_is_no_fault_and_neither_is_what_a_crash_runs_again() {
    let whole = "a leads, a begins 0, a ill 0, a begins 0, a well 0, a begins 1, a well 1, a begins 2, a ill 2, a begins 3, \
                 a well 3";
    assert_eq!(found(whole), Vec::<String>::new());
    let killed = "a leads, a begins 0, a well 0, a begins 1, a dies, b leads, b begins 0, b well 0, b begins 1, b well 1";
    assert_eq!(found(killed), Vec::<String>::new());
    let frozen = "a leads, a begins 0, a freezes, b leads, b begins 0, b well 0, b begins 1, a thaws, a begins 1, a well 0, \
                  b well 1, a well 1";
    assert_eq!(found(frozen), Vec::<String>::new());
}

#[test]
fn whoever_takes_over_before_a_death_or_a_stop_is_known_is_no_fault() {
    let killed = "a leads, a begins 0, a dies, b leads, b begins 0, a dies, b well 0, b begins 1";
    assert_eq!(found(killed), Vec::<String>::new());
    let frozen = "a leads, a begins 0, a freezing, b leads, b begins 0, a freezes, b well 0, b begins 1, a thaws, a well 0, b well 1";
    assert_eq!(found(frozen), Vec::<String>::new());
    let goes_on =
        "a leads, a begins 0, a freezing, a well 0, a begins 1, a freezes, b leads, b begins 1, b well 1";
    assert_eq!(found(goes_on), Vec::<String>::new());
}

#[test]
fn each_broken_promise_is_named() {
    let broken = [
        (NOT_ACTIVE, "a begins 0"),
        (NOT_ACTIVE, "a leads, b leads, a begins 0"),
        // It stood still, and had one run before it.
        (
            NOT_ACTIVE,
            "a leads, a freezes, b leads, a thaws, a begins 0, a well 0, a begins 1",
        ),
        (BESIDE, "a leads, a begins 0, a begins 0"),
        (BESIDE, "a leads, a begins 0, b leads, b begins 0"),
        (
            BACK,
            "a leads, a begins 0, a well 0, a begins 1, a well 1, a begins 0",
        ),
        (EARLY, "a leads, a begins 0, a ill 0, a begins 1"),
        (EARLY, "a leads, a begins 1"),
        // It is a letter later than that.
        (EARLY, "a leads, a begins 0, a well 0, a begins 3"),
        (
            AGAIN,
            "a leads, a begins 0, a well 0, a begins 1, +, a well 1, a begins 2, a dies, b leads, b begins 0",
        ),
        (
            AGAIN,
            "a leads, a begins 0, a well 0, a stops, b leads, b begins 0",
        ),
        (
            LAST,
            "a leads, a begins 0, a well 0, a begins 1, a well 1, a dies, b leads, b begins 0, b well 0",
        ),
    ];
    for (what, text) in broken {
        let faults = found(text);
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with(&format!("{what}: 1; "))),
            "{text}: {faults:?}"
        );
    }
    let strange = Line {
        at: 1,
        worker: "a".into(),
        what: What::Begins {
            number: JOBS[3] + 1,
            attempt: 1,
        },
    };
    assert_eq!(faults(&[strange], &books()).len(), 1);
}
