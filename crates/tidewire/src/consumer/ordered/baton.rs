//! What one active instance tells the next: how far it came, and what of it is not done.
//!
//! A consumer that is reset goes back to its ack floor, and delivers again what was acknowledged above it. The server
//! tells nobody which that was; so the instances tell each other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The record of a durable's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baton {
    /// The active instance; `None` where the last one has ended well.
    pub(super) holder: Option<String>,
    /// By stream.
    #[serde(default)]
    pub(super) streams: BTreeMap<String, Place>,
}

/// How far the consumer on one stream came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// When the consumer was made: what is known of another one means nothing.
    consumer: String,
    /// Up to here the durable was not ordered, and which messages are done is not known.
    #[serde(default)]
    from: u64,
    /// The last message that was taken in hand.
    delivered: u64,
    /// Those before it that are not done.
    open: BTreeSet<u64>,
}

/// How far an instance came on one stream in its own term.
#[derive(Debug, Default)]
pub(super) struct Progress {
    place: Place,
    /// Those that were open when the term began and have not come again.
    before: BTreeSet<u64>,
    /// The last one that came in this term.
    seen: u64,
}

/// What a message is that comes from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consumer) enum Took {
    /// To be handled.
    Open,
    /// It was done before; only its ack is missing.
    Done,
    /// It is in hand already, or comes behind later ones: the server has given it up here.
    Twice,
}

impl Place {
    /// Whether this was told of the consumer that was made then.
    pub(super) fn is_of(&self, consumer: &str) -> bool {
        self.consumer == consumer
    }
}

impl Progress {
    /// A term begins on the consumer that was made then, and has delivered so far as is said; up to `floor` all is
    /// acknowledged.
    pub(super) fn begin(place: Option<Place>, consumer: String, delivered: u64, floor: u64) -> Self {
        let mut place = place
            .filter(|place| place.is_of(&consumer))
            .unwrap_or_else(|| Place {
                consumer,
                from: delivered,
                ..Place::default()
            });
        Self {
            before: std::mem::take(&mut place.open).split_off(&(floor + 1)),
            place,
            seen: 0,
        }
    }

    pub(super) fn took(&mut self, sequence: u64) -> Took {
        if sequence <= self.place.from {
            let is_new = self.place.open.insert(sequence);
            return if is_new { Took::Open } else { Took::Twice };
        }
        if sequence <= self.seen {
            // One that was skipped and comes late is not done either.
            let is_open = self.place.open.contains(&sequence) || self.before.contains(&sequence);
            return if is_open { Took::Twice } else { Took::Done };
        }
        self.seen = sequence;
        let was_open = self.before.remove(&sequence);
        if !was_open && sequence <= self.place.delivered {
            return Took::Done;
        }
        self.place.delivered = self.place.delivered.max(sequence);
        self.place.open.insert(sequence);
        Took::Open
    }

    pub(super) fn settled(&mut self, sequence: u64) {
        self.place.open.remove(&sequence);
    }

    pub(super) fn place(&self) -> Place {
        let mut place = self.place.clone();
        place.open.extend(&self.before);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(place: Option<Place>) -> Progress {
        Progress::begin(place, "then".into(), 0, 0)
    }

    #[test]
    fn what_was_done_above_the_ack_floor_is_not_done_again() {
        let mut first = begin(None);
        assert!((1..=6).all(|sequence| first.took(sequence) == Took::Open));
        for sequence in [1, 3, 5] {
            first.settled(sequence);
        }
        let mut second = begin(Some(first.place()));
        let took: Vec<_> = (2..=7).map(|sequence| second.took(sequence)).collect();
        let (open, done) = (Took::Open, Took::Done);
        assert_eq!(took, [open, done, open, done, open, open]);
    }

    #[test]
    fn a_term_that_ends_before_all_has_come_again_forgets_nothing() {
        let mut first = begin(None);
        for sequence in 1..=5 {
            first.took(sequence);
        }
        first.settled(3);
        let mut second = begin(Some(first.place()));
        assert_eq!(second.took(1), Took::Open);
        second.settled(1);
        let mut third = begin(Some(second.place()));
        let took: Vec<_> = (2..=5).map(|sequence| third.took(sequence)).collect();
        assert_eq!(took, [Took::Open, Took::Done, Took::Open, Took::Open]);
    }

    #[test]
    fn another_consumer_of_that_name_begins_anew() {
        let mut first = begin(None);
        first.took(1);
        let mut other = Progress::begin(Some(first.place()), "later".into(), 0, 0);
        assert_eq!(other.took(1), Took::Open);
    }

    #[test]
    fn a_message_that_is_skipped_is_not_taken_for_done_until_the_ack_floor_has_passed_it() {
        let mut first = begin(None);
        first.took(1);
        first.took(2);
        let mut second = begin(Some(first.place()));
        assert_eq!(
            [2, 1].map(|sequence| second.took(sequence)),
            [Took::Open, Took::Twice]
        );
        let mut third = begin(Some(second.place()));
        assert_eq!(third.took(1), Took::Open);
        let passed = Progress::begin(Some(second.place()), "then".into(), 2, 1);
        assert_eq!(passed.place().open, BTreeSet::from([2]));
    }

    #[test]
    fn a_message_that_comes_twice_in_a_term_is_told_apart_from_one_whose_ack_was_lost() {
        let mut term = begin(None);
        term.took(1);
        assert_eq!(term.took(1), Took::Twice);
        term.settled(1);
        assert_eq!(term.took(1), Took::Done);
    }

    #[test]
    fn what_came_before_the_durable_was_ordered_is_handled_whenever_it_comes() {
        let mut first = Progress::begin(None, "then".into(), 4, 0);
        let took: Vec<_> = [6, 2, 4].map(|sequence| first.took(sequence)).into();
        assert_eq!(took, [Took::Open, Took::Open, Took::Open]);
        for sequence in [6, 2, 4] {
            first.settled(sequence);
        }
        let mut second = begin(Some(first.place()));
        assert_eq!(
            [3, 6].map(|sequence| second.took(sequence)),
            [Took::Open, Took::Done]
        );
    }
}
