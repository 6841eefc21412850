use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write as _,
    fs,
    path::Path,
};

use proptest::prelude::*;

use super::*;

const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(60);

/// A key's messages as the runtime has them: a simulation that does what the lane says, and nothing else.
#[derive(Debug, Default)]
struct World {
    lane: Lane,
    came: u32,
    /// In hand and waiting, the one that runs or sleeps not included.
    waiting: VecDeque<u32>,
    /// The first one, where it is in hand.
    first: Option<u32>,
    leaving: VecDeque<u32>,
    stored: VecDeque<u32>,
    running: Option<u32>,
    timers: usize,
    handled: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Comes,
    Ends,
    Fails(Duration),
    Wakes,
    Stores,
    /// The instance dies, and the next one is given again what its consumer has not seen settled.
    Dies,
}

impl World {
    fn step(&mut self, input: Input, message: Option<u32>) {
        let (lane, effect) = self.lane.step(input);
        self.lane = lane;
        match effect {
            Effect::Run => self.run(message),
            Effect::Wait => self.waiting.extend(message),
            Effect::Next => self.first = self.waiting.pop_front(),
            Effect::Repeat | Effect::Nothing => {}
            Effect::Sleep(_) => self.timers += 1,
            Effect::Park => self.leaving.extend(message),
            Effect::ParkAll(sleep) => {
                self.timers += usize::from(sleep.is_some());
                self.leaving.extend(self.first.take());
                self.leaving.extend(self.waiting.drain(..));
                self.leaving.extend(message);
            }
            Effect::Fetch => {
                let first = self.stored.front().copied();
                self.run(first);
            }
        }
        if matches!(effect, Effect::Next | Effect::Repeat) {
            assert!(self.running.is_none(), "two at once");
            self.running = self.first;
        }
    }

    fn run(&mut self, message: Option<u32>) {
        assert!(self.running.is_none(), "two at once");
        assert!(message.is_some(), "there is one");
        self.running = message;
        if !matches!(self.lane, Lane::Parked { .. }) {
            self.first = message;
        }
    }

    fn goes(&mut self, step: Move) {
        let parked = matches!(self.lane, Lane::Parked { .. });
        match step {
            Move::Comes => {
                self.came += 1;
                self.step(Input::Came, Some(self.came));
            }
            Move::Ends => {
                let Some(message) = self.running.take() else {
                    return;
                };
                self.handled.push(message);
                if parked {
                    self.stored.pop_front();
                } else {
                    self.first = None;
                }
                self.step(Input::Done, None);
            }
            Move::Fails(delay) => {
                if self.running.take().is_some() {
                    self.step(Input::Again(delay), None);
                }
            }
            Move::Wakes => {
                if self.timers > 0 {
                    self.timers -= 1;
                    self.step(Input::Awake, None);
                }
            }
            Move::Stores => {
                if let Some(message) = self.leaving.pop_front() {
                    let before = self.stored.contains(&message);
                    if !before {
                        self.stored.push_back(message);
                    }
                    let input = if before {
                        Input::StoredBefore
                    } else {
                        Input::Stored
                    };
                    self.step(input, None);
                }
            }
            Move::Dies => {
                let again: Vec<_> = self
                    .leaving
                    .drain(..)
                    .chain(self.first.take())
                    .chain(self.waiting.drain(..))
                    .collect();
                (self.running, self.timers, self.lane) = (None, 0, Lane::Open);
                self.step(Input::Found(self.stored.len()), None);
                for message in again {
                    self.step(Input::Came, Some(message));
                }
            }
        }
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let step = prop_oneof![
        6 => Just(Move::Comes),
        5 => Just(Move::Ends),
        2 => prop_oneof![Just(Move::Fails(SHORT)), Just(Move::Fails(LONG))],
        3 => Just(Move::Wakes),
        6 => Just(Move::Stores),
        1 => Just(Move::Dies),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn messages_are_handled_once_and_in_their_order_and_none_is_forgotten(moves in moves()) {
        let mut world = World::default();
        for step in moves {
            world.goes(step);
        }
        // Whatever is left comes to its end by itself.
        for _ in 0..2_000 {
            for step in [Move::Stores, Move::Wakes, Move::Ends] {
                world.goes(step);
            }
        }
        let all: Vec<_> = (1..=world.came).collect();
        prop_assert_eq!(&world.handled, &all);
        prop_assert_eq!(world.lane, Lane::Open);
    }

    #[test]
    fn few_wait_in_hand_behind_one_that_failed(moves in moves()) {
        let mut world = World::default();
        for step in moves {
            world.goes(step);
            if let Lane::Asleep { waiting, held } = world.lane {
                prop_assert!(waiting <= HELD_BEHIND && held <= HELD_FOR);
                prop_assert_eq!(waiting, world.waiting.len());
            }
        }
    }
}

/// Everything that may happen, by what it is called in the table.
fn inputs() -> Vec<(&'static str, Input)> {
    vec![
        ("one is found parked", Input::Found(1)),
        ("a message comes", Input::Came),
        ("the first is done", Input::Done),
        ("the first failed; 4 s", Input::Again(SHORT)),
        ("the first failed; 60 s", Input::Again(LONG)),
        ("the delay is over", Input::Awake),
        ("one is stored", Input::Stored),
        ("one had been stored before", Input::StoredBefore),
        ("none is there any more", Input::Gone),
    ]
}

/// Every state that is reached with at most two messages in each place.
fn reached() -> Vec<Lane> {
    let mut found = vec![Lane::Open];
    let mut next = 0;
    while let Some(lane) = found.get(next).copied() {
        next += 1;
        for (_, input) in inputs() {
            let (lane, _) = lane.step(input);
            let few = match lane {
                Lane::Open => true,
                Lane::Busy { waiting, held } | Lane::Asleep { waiting, held } => {
                    waiting <= 1 && held <= SHORT
                }
                Lane::Parked { leaving, stored, .. } => leaving <= 1 && stored <= 1,
            };
            if few && !found.contains(&lane) {
                found.push(lane);
            }
        }
    }
    found
}

#[test]
fn the_table_in_the_docs_is_the_code() {
    let mut text = String::from(
        "# Lanes\n\nWhat becomes of the messages of one key in a durable that is ordered by key, generated from `Lane::step` in \
         `crates/tidewire-core/src/lane.rs` by its test: every state with at most one message in each place, everything that \
         may happen in it, and what follows. What is not in the table changes nothing.\n\n\
         | state | what happens | what is done | then |\n|---|---|---|---|\n",
    );
    for lane in reached() {
        for (name, input) in inputs() {
            let (then, effect) = lane.step(input);
            if (then, effect) != (lane, Effect::Nothing) {
                writeln!(text, "| `{lane:?}` | {name} | `{effect:?}` | `{then:?}` |").unwrap();
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lanes.md");
    if std::env::var_os("TIDEWIRE_WRITE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        text,
        "run the test once with TIDEWIRE_WRITE_DOCS=1"
    );
}

#[test]
fn only_an_open_lane_and_one_whose_first_is_done_begin_a_message() {
    for lane in reached() {
        for (name, input) in inputs() {
            let begins = matches!(
                lane.step(input).1,
                Effect::Run | Effect::Next | Effect::Repeat | Effect::Fetch
            );
            let runs = matches!(lane, Lane::Busy { .. } | Lane::Parked { head: Head::Busy, .. });
            let ends = matches!(input, Input::Done | Input::Gone);
            assert!(!begins || !runs || ends, "{lane:?}: {name} begins a second one");
        }
    }
    let states: BTreeSet<_> = reached().iter().map(|lane| format!("{lane:?}")).collect();
    assert!(states.len() > 10);
}
