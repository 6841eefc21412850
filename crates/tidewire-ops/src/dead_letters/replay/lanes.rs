//! The order in which letters are sent.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::Listed;

/// A row of letters of which one at a time is with its handler.
pub(super) type Lane = usize;

/// Letters by handler and key; those without a key are alone in their lane.
#[derive(Default)]
pub(super) struct Lanes {
    waiting: Vec<VecDeque<Listed>>,
    /// Lanes none of whose letters is with its handler, by the first message in them: its place in the whole order.
    free: BTreeSet<(usize, Lane)>,
    /// The place of each waiting letter in the whole order, lane by lane.
    order: Vec<VecDeque<usize>>,
}

impl Lanes {
    /// Sorts letters by the places of their messages.
    pub(super) fn of(mut letters: Vec<Listed>) -> Self {
        letters.sort_by(|one, other| {
            let place = |letter: &Listed| (letter.stream.clone(), letter.sequence);
            place(one).cmp(&place(other))
        });
        let mut lanes = Self::default();
        let mut keyed: HashMap<(String, String, String), Lane> = HashMap::new();
        for (place, letter) in letters.into_iter().enumerate() {
            let new = lanes.waiting.len();
            let lane = match &letter.key {
                Some(key) => {
                    let name = (letter.service.clone(), letter.durable.clone(), key.clone());
                    *keyed.entry(name).or_insert(new)
                }
                None => new,
            };
            if lane == new {
                lanes.waiting.push(VecDeque::new());
                lanes.order.push(VecDeque::new());
                lanes.free.insert((place, lane));
            }
            lanes.waiting[lane].push_back(letter);
            lanes.order[lane].push_back(place);
        }
        lanes
    }

    /// Takes the first letter that need not wait; its lane is busy until it is [freed](Self::free).
    pub(super) fn next(&mut self) -> Option<(Lane, Listed)> {
        let (_, lane) = self.free.pop_first()?;
        self.order[lane].pop_front();
        Some((lane, self.waiting[lane].pop_front()?))
    }

    /// Whether there is a letter that need not wait.
    pub(super) fn has_next(&self) -> bool {
        !self.free.is_empty()
    }

    /// The letter of this lane has left its handler.
    pub(super) fn free(&mut self, lane: Lane) {
        if let Some(place) = self.order[lane].front() {
            self.free.insert((*place, lane));
        }
    }

    /// Takes all that wait in a lane.
    pub(super) fn close(&mut self, lane: Lane) -> VecDeque<Listed> {
        self.order[lane].clear();
        std::mem::take(&mut self.waiting[lane])
    }

    /// Whether nothing waits any more.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }
}
