//! What becomes of the messages of one key, in a durable that is ordered by key.
//!
//! A state machine and nothing else, like [`settlement`](crate::settlement): [`Lane::step`] takes what happened and says
//! what to do next. Of one lane at most one message runs at any time, and they run in the order in which they came.
//! `docs/lanes.md` is its table, written by a test.

use std::time::Duration;

/// How long a message that failed waits in hand for its next run, all delays of it together. One that has to wait for
/// longer is parked, and what follows it: in hand it would keep its consumer from passing it, and later messages of its
/// key would fill the memory that other keys need.
pub const HELD_FOR: Duration = Duration::from_secs(10);
/// How many messages wait in hand behind one that failed; where more come, all of them are parked.
pub const HELD_BEHIND: usize = 64;

/// Where the messages of one key stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// There are none.
    #[default]
    Open,
    /// The first one runs, and others wait behind it, in hand.
    Busy {
        /// The others.
        waiting: usize,
        /// How long the first one has waited for its next run so far.
        held: Duration,
    },
    /// The first one failed and waits in hand for its next run, and others behind it.
    Asleep {
        /// The others.
        waiting: usize,
        /// How long the first one will have waited.
        held: Duration,
    },
    /// All of them are in the service's stream, or on their way there.
    Parked {
        /// What the first one does.
        head: Head,
        /// Those that are on their way into the stream.
        leaving: usize,
        /// Those that are there.
        stored: usize,
    },
}

/// What the first of the parked messages does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// It is on its way into the stream.
    Leaving,
    /// It is being fetched, or runs.
    Busy,
    /// It waits for its next run.
    Asleep,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An instance becomes the active one, and so many messages of the key are parked.
    Found(usize),
    /// A message came from its stream.
    Came,
    /// The first one is settled: it was handled, or stored as a dead letter.
    Done,
    /// The first one is to run again, after this long.
    Again(Duration),
    /// The delay is over.
    Awake,
    /// A message that was on its way is in the service's stream, and settled in its own.
    Stored,
    /// A message that was on its way had been there before, and is settled in its own.
    StoredBefore,
    /// There is no parked message, whatever was counted: somebody took them out.
    Gone,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the message that came.
    Run,
    /// Keep the message that came behind the others, in hand.
    Wait,
    /// Run the next of those that wait in hand.
    Next,
    /// Keep the first one in hand, and say [`Input::Awake`] after this long.
    Sleep(Duration),
    /// Run the first one again.
    Repeat,
    /// Park the message that came.
    Park,
    /// Park all that are in hand, the first one first, and say [`Input::Awake`] after this long where a time is given.
    ParkAll(Option<Duration>),
    /// Fetch the first of the parked messages, and run it.
    Fetch,
    /// Nothing.
    Nothing,
}

impl Lane {
    /// What follows from `input`.
    #[must_use]
    pub fn step(self, input: Input) -> (Self, Effect) {
        match (self, input) {
            (Self::Open, Input::Found(stored)) if stored > 0 => Self::fetch(0, stored),
            (Self::Open, Input::Came) => Self::busy(0, Duration::ZERO, Effect::Run),

            (Self::Busy { waiting, held }, Input::Came) => Self::busy(waiting + 1, held, Effect::Wait),
            (Self::Busy { waiting: 0, .. }, Input::Done) => (Self::Open, Effect::Nothing),
            (Self::Busy { waiting, .. }, Input::Done) => {
                Self::busy(waiting - 1, Duration::ZERO, Effect::Next)
            }
            (Self::Busy { waiting, held }, Input::Again(delay)) => {
                let held = held.saturating_add(delay);
                if held <= HELD_FOR && waiting <= HELD_BEHIND {
                    (Self::Asleep { waiting, held }, Effect::Sleep(delay))
                } else {
                    Self::park_all(waiting + 1, Some(delay))
                }
            }

            (Self::Asleep { waiting, held }, Input::Awake) => Self::busy(waiting, held, Effect::Repeat),
            (Self::Asleep { waiting, held }, Input::Came) if waiting < HELD_BEHIND => {
                let waiting = waiting + 1;
                (Self::Asleep { waiting, held }, Effect::Wait)
            }
            // The one that came is the last of them, and its first is awaited as before.
            (Self::Asleep { waiting, .. }, Input::Came) => Self::park_all(waiting + 2, None),

            (
                Self::Parked {
                    head,
                    leaving,
                    stored,
                },
                input,
            ) => Self::parked(head, leaving, stored, input),

            (lane, _) => (lane, Effect::Nothing),
        }
    }

    fn parked(head: Head, leaving: usize, stored: usize, input: Input) -> (Self, Effect) {
        let state = |head, leaving, stored| Self::Parked {
            head,
            leaving,
            stored,
        };
        match (head, input) {
            // Never past those that are parked, nor past those on their way.
            (_, Input::Came) => (state(head, leaving + 1, stored), Effect::Park),
            (Head::Leaving, Input::Stored) => Self::fetch(leaving.saturating_sub(1), stored + 1),
            (_, Input::Stored) => (
                state(head, leaving.saturating_sub(1), stored + 1),
                Effect::Nothing,
            ),
            (Head::Leaving, Input::StoredBefore) => Self::next(leaving.saturating_sub(1), stored),
            (_, Input::StoredBefore) => (state(head, leaving.saturating_sub(1), stored), Effect::Nothing),
            (Head::Busy, Input::Done) => Self::next(leaving, stored.saturating_sub(1)),
            (Head::Busy, Input::Gone) => Self::next(leaving, 0),
            (Head::Busy, Input::Again(delay)) => (state(Head::Asleep, leaving, stored), Effect::Sleep(delay)),
            (Head::Asleep, Input::Awake) => Self::next(leaving, stored),
            _ => (state(head, leaving, stored), Effect::Nothing),
        }
    }

    /// The next of the parked messages; the lane opens where there is none and none is on its way.
    fn next(leaving: usize, stored: usize) -> (Self, Effect) {
        match (leaving, stored) {
            (0, 0) => (Self::Open, Effect::Nothing),
            (_, 0) => {
                let head = Head::Leaving;
                (
                    Self::Parked {
                        head,
                        leaving,
                        stored,
                    },
                    Effect::Nothing,
                )
            }
            _ => Self::fetch(leaving, stored),
        }
    }

    fn fetch(leaving: usize, stored: usize) -> (Self, Effect) {
        let head = Head::Busy;
        (
            Self::Parked {
                head,
                leaving,
                stored,
            },
            Effect::Fetch,
        )
    }

    fn busy(waiting: usize, held: Duration, effect: Effect) -> (Self, Effect) {
        (Self::Busy { waiting, held }, effect)
    }

    fn park_all(leaving: usize, sleep: Option<Duration>) -> (Self, Effect) {
        let parked = Self::Parked {
            head: Head::Asleep,
            leaving,
            stored: 0,
        };
        (parked, Effect::ParkAll(sleep))
    }
}

#[cfg(test)]
mod tests;
