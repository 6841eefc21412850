//! Giving letters back to their handlers, once each and in the order of their keys.

mod give;
mod lanes;
mod report;
mod republish;
mod watch;

use std::{collections::HashMap, time::Duration};

use tidewire::dead_letter::LetterState;
use tokio::time::{Instant, sleep_until};

use super::{DeadLetters, Listed};
use crate::{error::OpsError, manifests::Manifests};
use lanes::{Lane, Lanes};
pub use report::{ReplayEnd, Replayed};
use watch::Watch;

/// How letters are given back.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Publish each message to its own subject again, for every reader of it, in place of giving it to the handler that
    /// failed.
    ///
    /// The event of a family is refused, for its entity's history is the event store's to write. Which events those are is
    /// read from the manifests: of an event that no service here takes or sends it is not known.
    pub to_subject: bool,
    /// At most so many a second; `None` is no limit.
    pub rate: Option<f64>,
    /// How long the handler may take for one letter; after that the later letters of its key are not sent.
    pub within: Duration,
}

/// How many letters may be with their handlers at once: more would only wait there, with their time running.
const AT_ONCE: usize = 100;

/// What a letter that was sent waits for.
struct UnderWay {
    letter: Listed,
    /// The record by which it was claimed: what is stored behind it is the answer.
    record: u64,
    deadline: Instant,
}

impl DeadLetters {
    /// Gives letters back, and tells `done` what became of each as soon as it is known.
    ///
    /// They go in the order of their messages. Of one handler and key the next is sent when the one before has left the
    /// handler; others do not wait for it.
    ///
    /// A letter is claimed by a record before it is sent. Where this is killed in between, the next replay of the same
    /// letter completes it; what was sent already is not sent again, but awaited.
    ///
    /// # Errors
    /// [`OpsError`] where the stream of dead letters cannot be read or written; what befalls a single letter is in its
    /// [`ReplayEnd`].
    pub async fn replay(
        &self,
        letters: Vec<Listed>,
        how: Replay,
        mut done: impl FnMut(&Replayed),
    ) -> Result<(), OpsError> {
        let manifests = if how.to_subject {
            Manifests::read(&self.nats).await?
        } else {
            Manifests::default()
        };
        let mut watch = Watch::open(self).await?;
        let mut lanes = Lanes::of(letters);
        let mut under_way: HashMap<String, (Lane, UnderWay)> = HashMap::new();
        let pause = how.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let mut next_send = Instant::now();
        loop {
            let may_send = under_way.len() < AT_ONCE && Instant::now() >= next_send;
            let next = if may_send { lanes.next() } else { None };
            if let Some((lane, letter)) = next {
                next_send = pause.map_or(next_send, |pause| next_send.max(Instant::now()) + pause);
                let given = if how.to_subject {
                    self.republish(&letter, &manifests).await?
                } else {
                    self.give(&letter).await?
                };
                match given {
                    Given::UnderWay { record } => {
                        let deadline = Instant::now() + how.within;
                        let subject = letter.subject_of_records();
                        under_way.insert(
                            subject,
                            (
                                lane,
                                UnderWay {
                                    letter,
                                    record,
                                    deadline,
                                },
                            ),
                        );
                    }
                    Given::Ended(end @ ReplayEnd::Refused { .. }) => {
                        done(&Replayed::of(&letter, end));
                        stop(lanes.close(lane), &letter, &mut done);
                    }
                    Given::Ended(end) => {
                        done(&Replayed::of(&letter, end));
                        lanes.free(lane);
                    }
                }
                continue;
            }
            if under_way.is_empty() && lanes.is_empty() {
                return Ok(());
            }
            let deadlines = under_way.values().map(|(_, sent)| sent.deadline);
            let next_send = (under_way.len() < AT_ONCE && lanes.has_next()).then_some(next_send);
            let wake = deadlines.chain(next_send).min();
            let subject = tokio::select! {
                biased;
                subject = watch.next() => Some(subject?),
                () = until(wake) => None,
            };
            let now = Instant::now();
            let due: Vec<String> = if let Some(subject) = subject {
                vec![subject]
            } else {
                let late = under_way.iter().filter(|(_, (_, sent))| sent.deadline <= now);
                late.map(|(subject, _)| subject.clone()).collect()
            };
            for subject in due {
                let Some((lane, sent)) = under_way.remove(&subject) else {
                    continue;
                };
                // Read from the stream itself: the watch only says when to look.
                match self.end_of(&sent).await? {
                    Some(end) => {
                        done(&Replayed::of(&sent.letter, end));
                        lanes.free(lane);
                    }
                    None if sent.deadline > now => {
                        under_way.insert(subject, (lane, sent));
                    }
                    None => {
                        done(&Replayed::of(
                            &sent.letter,
                            ReplayEnd::Unanswered { within: how.within },
                        ));
                        stop(lanes.close(lane), &sent.letter, &mut done);
                    }
                }
            }
        }
    }

    /// What became of a letter that was sent; `None` while it is with its handler.
    async fn end_of(&self, sent: &UnderWay) -> Result<Option<ReplayEnd>, OpsError> {
        let letter = self.read(&sent.letter).await?;
        if letter.last_sequence() <= sent.record {
            return Ok(None);
        }
        Ok(Some(match letter.state() {
            LetterState::Replaying => return Ok(None),
            LetterState::Handled => ReplayEnd::Handled,
            LetterState::Open => ReplayEnd::failed(letter.trouble()),
            LetterState::Discarded => ReplayEnd::Closed {
                state: letter.state(),
            },
        }))
    }
}

/// What came of the first step.
enum Given {
    /// The letter is with its handler, claimed by this record.
    UnderWay { record: u64 },
    /// There is nothing to wait for.
    Ended(ReplayEnd),
}

/// Reports letters that would overtake one of their key.
fn stop(waiting: impl IntoIterator<Item = Listed>, behind: &Listed, done: &mut impl FnMut(&Replayed)) {
    for letter in waiting {
        let of = behind.letter.to_string();
        done(&Replayed::of(&letter, ReplayEnd::Behind { of }));
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
