//! The places of a stream: what became of each sequence that the filter of a durable matches.

use std::{collections::BTreeMap, fmt::Write as _};

use super::SHOWN;
use crate::jobs::Source;

/// Every sequence that is in the stream, or of which anybody says so.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) source: Source,
    found: BTreeMap<u64, Found>,
}

/// What is known of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The stream has it, and the filter matches it.
    pub(crate) stored: bool,
    /// Its handler came to a good end, by the ledger of the workers.
    pub(crate) handled: bool,
    /// The last record of its letter.
    pub(crate) letter: Option<Letter>,
    /// How often it is parked.
    pub(crate) parked: usize,
}

/// Where a dead letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letter {
    Open,
    /// It was replayed and is handled.
    Handled,
    Discarded,
}

impl Found {
    /// In how many of the four places it is: handled, an open letter, parked, discarded.
    fn places(self) -> usize {
        let is_kept = matches!(self.letter, Some(Letter::Open | Letter::Discarded));
        usize::from(self.handled) + usize::from(is_kept) + self.parked
    }
}

impl Places {
    pub(crate) fn of(source: Source) -> Self {
        Self {
            source,
            found: BTreeMap::new(),
        }
    }

    pub(crate) fn at(&mut self, sequence: u64) -> &mut Found {
        self.found.entry(sequence).or_default()
    }

    /// Every promise that is broken, each in one line that names it and the sequences.
    pub(crate) fn faults(&self) -> Vec<String> {
        let named = |what: &str, broken: fn(&Found) -> bool| {
            let found: Vec<_> = self.found.iter().filter(|(_, found)| broken(found)).collect();
            let mut text = format!(
                "{} of `{}`, {what}: {}",
                self.source.stream(),
                self.source.durable(),
                found.len()
            );
            for (sequence, found) in found.iter().take(SHOWN) {
                // Writing to a string does not fail.
                let _ = write!(text, "; {sequence} {found:?}");
            }
            (!found.is_empty()).then_some(text)
        };
        let faults = [
            named(
                "handled, an open letter, parked or discarded, and not there",
                |found| !found.stored && found.places() > 0,
            ),
            named(
                "there, and neither handled nor an open letter, parked or discarded",
                |found| found.stored && found.places() == 0,
            ),
            named(
                "in more than one of: handled, open letters, parked, discarded",
                |found| found.places() > 1,
            ),
            named("a letter that was handled, and not by the ledger", |found| {
                found.letter == Some(Letter::Handled) && !found.handled
            }),
        ];
        faults.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDLED: Found = Found {
        stored: true,
        handled: true,
        letter: None,
        parked: 0,
    };
    const STORED: Found = Found {
        handled: false,
        ..HANDLED
    };
    const PARKED: Found = Found { parked: 1, ..STORED };

    fn letter(letter: Letter) -> Found {
        Found {
            letter: Some(letter),
            ..STORED
        }
    }

    fn places(found: impl IntoIterator<Item = Found>) -> Places {
        Places {
            source: Source::Jobs,
            found: (1..).zip(found).collect(),
        }
    }

    #[test]
    fn a_sequence_in_one_place_is_no_fault() {
        let places = places([
            HANDLED,
            letter(Letter::Open),
            letter(Letter::Discarded),
            PARKED,
            Found {
                handled: true,
                ..letter(Letter::Handled)
            },
        ]);
        assert_eq!(places.faults(), Vec::<String>::new());
    }

    #[test]
    fn a_hole_and_an_overlap_are_named_with_their_sequences() {
        let both = |other: Found| Found {
            handled: true,
            ..other
        };
        let broken = [
            ("there, and neither handled nor an open letter", STORED),
            ("in more than one of", both(letter(Letter::Open))),
            ("in more than one of", both(letter(Letter::Discarded))),
            ("in more than one of", both(PARKED)),
            (
                "in more than one of",
                Found {
                    parked: 1,
                    ..letter(Letter::Open)
                },
            ),
            ("in more than one of", Found { parked: 2, ..STORED }),
            (
                "handled, an open letter, parked or discarded, and not there",
                Found {
                    stored: false,
                    ..HANDLED
                },
            ),
            (
                "a letter that was handled, and not by the ledger",
                letter(Letter::Handled),
            ),
        ];
        for (what, found) in broken {
            let faults = places([HANDLED, found]).faults();
            assert!(
                faults
                    .iter()
                    .any(|fault| fault.contains(what) && fault.contains(": 1; 2 ")),
                "{what}: {faults:?}"
            );
        }
    }
}
