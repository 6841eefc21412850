//! Letters that failed alike.

use std::collections::BTreeMap;

use serde::Serialize;
use tidewire::{Timestamp, dead_letter::LetterState};

use super::Listed;

/// Letters of one handler that failed with one class and one error, numbers in it aside.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// Its name: eight digits.
    pub group: String,
    /// The service that could not handle them.
    pub service: String,
    /// The durable that could not.
    pub durable: String,
    /// The class of the error.
    pub class: String,
    /// The error of the letter that failed last.
    pub error: String,
    /// How many wait for somebody.
    pub open: usize,
    /// How many were given to their handler again.
    pub replaying: usize,
    /// How many were handled.
    pub handled: usize,
    /// How many were given up.
    pub discarded: usize,
    /// When the first attempt at any of them failed.
    pub first_failed: Timestamp,
    /// When the last attempt at any of them failed.
    pub last_failed: Timestamp,
}

/// The letters by group, the largest first.
pub fn groups(letters: &[Listed]) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for letter in letters {
        let group = groups.entry(&letter.group).or_insert_with(|| Group::like(letter));
        group.add(letter);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.open + group.replaying));
    groups
}

impl Group {
    fn like(letter: &Listed) -> Self {
        Self {
            group: letter.group.clone(),
            service: letter.service.clone(),
            durable: letter.durable.clone(),
            class: letter.class.clone(),
            error: letter.error.clone(),
            open: 0,
            replaying: 0,
            handled: 0,
            discarded: 0,
            first_failed: letter.first_failed,
            last_failed: letter.last_failed,
        }
    }

    fn add(&mut self, letter: &Listed) {
        match letter.state {
            LetterState::Open => self.open += 1,
            LetterState::Replaying => self.replaying += 1,
            LetterState::Handled => self.handled += 1,
            LetterState::Discarded => self.discarded += 1,
        }
        self.first_failed = self.first_failed.min(letter.first_failed);
        if letter.last_failed > self.last_failed {
            self.last_failed = letter.last_failed;
            letter.error.clone_into(&mut self.error);
        }
    }
}
