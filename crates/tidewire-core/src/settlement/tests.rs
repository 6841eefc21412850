use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use super::*;
use crate::Retry;

/// Two attempts; the second failure is the last.
const TWICE: Retry = Retry::fixed(Duration::from_secs(7)).jitter(0.0).max_attempts(2);

/// Everything that may happen, by what it is called in the table.
fn inputs() -> Vec<(&'static str, Input)> {
    let ended = |verdict| Input::Ended {
        verdict,
        since: Duration::ZERO,
        random: 0.5,
    };
    let runs = |count, unfinished, spent| {
        Input::Runs(Some(Runs {
            count,
            unfinished,
            spent,
        }))
    };
    vec![
        ("delivered, the first time", Input::Came { delivery: 1 }),
        ("delivered again", Input::Came { delivery: 2 }),
        ("runs: none", runs(0, false, None)),
        ("runs: one, and it never ended", runs(1, true, None)),
        (
            "runs: as many as there may be",
            runs(2, false, Some(Keep::Letter)),
        ),
        (
            "runs: one, and a rule discarded it",
            runs(1, false, Some(Keep::Discarded)),
        ),
        ("runs: cannot be read", Input::Runs(None)),
        ("the start is written down", Input::Marked(true)),
        ("the start cannot be written down", Input::Marked(false)),
        ("ok, or a business answer", ended(Verdict::Done)),
        (
            "failed",
            ended(Verdict::Retry {
                policy: TWICE,
                after: None,
            }),
        ),
        (
            "failed, with a delay of its own",
            ended(Verdict::Retry {
                policy: TWICE,
                after: Some(Duration::from_secs(9)),
            }),
        ),
        (
            "unavailable, or a rule pauses",
            ended(Verdict::Hold { pause: None }),
        ),
        ("rejected, or not understood", ended(Verdict::DeadLetter)),
        ("a rule discards", ended(Verdict::Discard)),
        ("the runs are written down", Input::Counted(true)),
        ("the runs cannot be written down", Input::Counted(false)),
        ("the breaker lets it run", Input::Admitted),
        ("the record is stored", Input::Kept(true)),
        ("the record cannot be stored", Input::Kept(false)),
        ("the lease ran out", Input::LeaseLost),
        ("the service ends", Input::Stopping),
    ]
}

/// Every state that inputs lead to, with the inputs that led there.
fn reachable() -> Vec<(State, Vec<Input>)> {
    let mut found = vec![(State::Arrived, Vec::new())];
    let mut next = 0;
    while let Some((state, path)) = found.get(next).cloned() {
        next += 1;
        for (_, input) in inputs() {
            let (after, _) = state.step(input);
            if !found.iter().any(|(known, _)| *known == after) {
                let path = [path.clone(), vec![input]].concat();
                found.push((after, path));
            }
        }
    }
    found
}

/// Every sequence of up to `depth` inputs that means something, with its effects.
fn walks(
    state: State,
    depth: usize,
    effects: &mut Vec<(Input, Effect)>,
    seen: &mut impl FnMut(&[(Input, Effect)], State),
) {
    seen(effects, state);
    if depth == 0 || state == State::Settled {
        return;
    }
    for (_, input) in inputs() {
        let (after, effect) = state.step(input);
        if effect != Effect::Nothing {
            effects.push((input, effect));
            walks(after, depth - 1, effects, seen);
            effects.pop();
        }
    }
}

#[test]
fn in_every_walk_what_was_not_handled_is_let_go_only_once_it_is_stored() {
    let mut count = 0;
    walks(State::Arrived, 12, &mut Vec::new(), &mut |walk, state| {
        count += 1;
        for (index, (input, effect)) in walk.iter().enumerate() {
            let is_last = index + 1 == walk.len();
            match effect {
                Effect::Ack => {
                    let ended = walk[..=index]
                        .iter()
                        .rev()
                        .map(|(input, _)| input)
                        .find(|input| !matches!(input, Input::Counted(_)));
                    let done = matches!(
                        ended,
                        Some(Input::Ended {
                            verdict: Verdict::Done,
                            ..
                        })
                    );
                    assert!(done, "{walk:?}");
                }
                Effect::Term => assert_eq!(*input, Input::Kept(true), "{walk:?}"),
                Effect::Leave => assert_eq!(*input, Input::LeaseLost, "{walk:?}"),
                _ => {}
            }
            // One settlement ends it, and nothing else does.
            let settles = matches!(
                effect,
                Effect::Ack | Effect::Nak(_) | Effect::Term | Effect::Leave
            );
            assert_eq!(settles, is_last && state == State::Settled, "{walk:?}");
        }
    });
    assert!(count > 500, "{count} walks");
}

#[test]
fn in_every_walk_a_lost_lease_is_the_end() {
    walks(State::Arrived, 7, &mut Vec::new(), &mut |walk, state| {
        let lost = walk.iter().position(|(input, _)| *input == Input::LeaseLost);
        if let Some(lost) = lost {
            assert_eq!((lost + 1, state), (walk.len(), State::Settled), "{walk:?}");
            assert_eq!(walk[lost].1, Effect::Leave);
        }
    });
}

#[test]
fn in_every_walk_a_second_delivery_runs_only_when_its_runs_are_known_and_marked() {
    walks(State::Arrived, 12, &mut Vec::new(), &mut |walk, _| {
        let Some((Input::Came { delivery: 2 }, _)) = walk.first() else {
            return;
        };
        for (index, (_, effect)) in walk.iter().enumerate() {
            if matches!(effect, Effect::Run { .. }) {
                assert_eq!(walk[index].0, Input::Marked(true), "{walk:?}");
            }
        }
    });
}

#[test]
fn what_is_held_spends_no_run() {
    walks(State::Arrived, 12, &mut Vec::new(), &mut |walk, _| {
        let mut attempt = None;
        let mut held = false;
        for (input, effect) in walk {
            if let Effect::Run { attempt: this } = effect {
                if held {
                    assert_eq!(attempt, Some(*this), "{walk:?}");
                }
                attempt = Some(*this);
            }
            held = matches!(
                input,
                Input::Ended {
                    verdict: Verdict::Hold { .. },
                    ..
                }
            ) || (held && !matches!(input, Input::Ended { .. }));
        }
    });
}

#[test]
fn a_message_that_kills_its_process_is_kept_after_the_maximum_though_nobody_counted() {
    let mut runs = Runs::default();
    let mut delivery = 0;
    loop {
        delivery += 1;
        assert!(delivery < 10);
        let (state, effect) = State::Arrived.step(Input::Came { delivery });
        if effect == (Effect::Run { attempt: 1 }) {
            continue; // the process dies, and nothing is written down of its first run
        }
        runs.spent = TWICE.is_over(runs.count, Duration::ZERO).then_some(Keep::Letter);
        match state.step(Input::Runs(Some(runs))) {
            (_, Effect::Mark { count, .. }) => {
                runs = Runs {
                    count,
                    unfinished: true,
                    spent: None,
                }
            }
            (_, Effect::Keep(Keep::Letter)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        delivery, 5,
        "a free run, one beside others, two alone, and the letter"
    );
}

/// Found by `crash server`: a server that is killed forgets acks, each time again.
#[test]
fn a_run_that_ended_well_does_not_count_however_often_its_message_comes_again() {
    let mut runs = Runs::default();
    for _ in 0..10 {
        let (reading, _) = State::Arrived.step(Input::Came { delivery: 2 });
        let (marking, effect) = reading.step(Input::Runs(Some(runs)));
        assert!(matches!(effect, Effect::Mark { alone: false, .. }), "{effect:?}");
        let (running, _) = marking.step(Input::Marked(true));
        let (counting, effect) = running.step(Input::Ended {
            verdict: Verdict::Done,
            since: Duration::ZERO,
            random: 0.0,
        });
        let Effect::Count { count: Some(count) } = effect else {
            panic!("{effect:?}");
        };
        runs.count = count;
        assert_eq!(counting.step(Input::Counted(true)).1, Effect::Ack);
    }
    assert_eq!(runs, Runs::default());
}

#[test]
fn the_last_failure_is_counted_before_its_letter_so_that_it_never_runs_again() {
    let failed = Input::Ended {
        verdict: Verdict::Retry {
            policy: TWICE,
            after: None,
        },
        since: Duration::ZERO,
        random: 0.0,
    };
    let (state, effect) = State::Running {
        runs: 1,
        marked: true,
    }
    .step(failed);
    assert_eq!(effect, Effect::Count { count: None });
    assert_eq!(state.step(Input::Counted(true)).1, Effect::Keep(Keep::Letter));
}

/// The table in the docs is what the machine does.
#[test]
fn the_table_in_the_docs_is_up_to_date() {
    let mut table = String::from(
        "# Settlement\n\nWhat becomes of one delivery, generated from `State::step` in `crates/tidewire-core/src/settlement.rs` by its \
         test: every state, everything that may happen in it, and what follows. What is not in the table changes nothing.\n\n\
         The policy of the examples has two attempts and a delay of seven seconds.\n\n| state | what happens | what is done | then |\n|---|---|---|---|\n",
    );
    let mut seen = BTreeSet::new();
    for (state, _) in reachable() {
        for (name, input) in inputs() {
            let (after, effect) = state.step(input);
            if effect != Effect::Nothing {
                let line = format!("| `{state:?}` | {name} | `{effect:?}` | `{after:?}` |\n");
                assert!(seen.insert(line.clone()));
                let _ = table.write_str(&line);
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settlement.md");
    if std::env::var_os("TIDEWIRE_WRITE_DOCS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, table,
        "run this test with TIDEWIRE_WRITE_DOCS=1 and review docs/settlement.md"
    );
}
