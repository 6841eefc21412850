//! What goes over the wire about the jobs, in the order of the server: each delivery, and each word that settles one.

use std::{collections::BTreeMap, error::Error, fmt::Write as _, time::Duration};

use futures_util::StreamExt as _;
use tidewire::{Connection, async_nats::Message};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    connecting::connected,
    jobs::{CONSUMER, JOBS},
};

/// What tells the watcher that it has seen all.
const END: &str = "crash.watch.ends";
/// How long that takes.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How many sequences a fault shows.
const SHOWN: usize = 8;

/// Somebody with a connection of its own, who hears everything.
#[derive(Debug)]
pub(crate) struct Watch {
    nats: Connection,
    seen: JoinHandle<Vec<Seen>>,
}

/// One delivery of a job, by its sequence and the number of the delivery, and what happened with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    sequence: u64,
    delivery: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Delivered,
    /// An ack, a nak or a term, whoever said it.
    Settled,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Acks, naks and terms.
    pub(crate) settlements: usize,
    /// Deliveries of what nobody had settled: another worker took it over.
    pub(crate) taken_over: usize,
    /// Acks, naks and terms of a delivery behind which there was a later one.
    stale: Vec<Seen>,
}

impl Watch {
    pub(crate) async fn begin(url: &str) -> Result<Self, Box<dyn Error>> {
        let nats = connected(url).await?;
        let client = nats.client();
        // One subscription: two would not be told in one order.
        let mut messages = client.subscribe(">").await?;
        client.flush().await?;
        let seen = tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Some(message) = messages.next().await {
                if message.subject.as_str() == END {
                    break;
                }
                seen.extend(Seen::read(&message));
            }
            seen
        });
        Ok(Self { nats, seen })
    }

    /// Everything that was seen so far.
    pub(crate) async fn end(self) -> Result<Watched, Box<dyn Error>> {
        let Self { nats, seen } = self;
        nats.client().publish(END, "".into()).await?;
        Ok(Watched::of(&timeout(ENDS_WITHIN, seen).await??))
    }
}

impl Seen {
    fn read(message: &Message) -> Option<Self> {
        if let Some((sequence, delivery)) = message.reply.as_ref().and_then(|reply| place(reply)) {
            let what = What::Delivered;
            return Some(Self {
                sequence,
                delivery,
                what,
            });
        }
        let (sequence, delivery) = place(&message.subject)?;
        // An empty one is an ack; a mark that it is in progress settles nothing.
        (!message.payload.starts_with(b"+WPI")).then_some(Self {
            sequence,
            delivery,
            what: What::Settled,
        })
    }
}

/// The sequence and the number of the delivery that an ack subject of the jobs' consumer says, in either layout.
fn place(subject: &str) -> Option<(u64, u64)> {
    let tokens: Vec<_> = subject.strip_prefix("$JS.ACK.")?.split('.').collect();
    // Nine tokens and more have a domain and the hash of an account before the stream.
    let rest = tokens.get(if tokens.len() >= 9 { 2 } else { 0 }..)?;
    let [stream, consumer, delivery, sequence, ..] = rest else {
        return None;
    };
    let is_ours = *stream == JOBS && *consumer == CONSUMER;
    is_ours.then_some((sequence.parse().ok()?, delivery.parse().ok()?))
}

impl Watched {
    fn of(seen: &[Seen]) -> Self {
        let mut watched = Self::default();
        // By sequence: the last delivery, and whether that was settled.
        let mut last: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
        for one in seen {
            let (delivery, is_settled) = last.entry(one.sequence).or_insert((one.delivery, false));
            match one.what {
                What::Delivered => {
                    watched.taken_over += usize::from(*delivery < one.delivery && !*is_settled);
                    (*delivery, *is_settled) = (one.delivery, false);
                }
                What::Settled => {
                    watched.settlements += 1;
                    if one.delivery < *delivery {
                        watched.stale.push(*one);
                    } else {
                        *is_settled = true;
                    }
                }
            }
        }
        watched
    }

    /// How many settlements came from an attempt behind which there was a later one.
    pub(crate) fn stale(&self) -> usize {
        self.stale.len()
    }

    pub(crate) fn faults(&self) -> Option<String> {
        let mut text = format!(
            "settled by an attempt behind which there was a later one: {}",
            self.stale.len()
        );
        for Seen {
            sequence, delivery, ..
        } in self.stale.iter().take(SHOWN)
        {
            // Writing to a string does not fail.
            let _ = write!(text, "; sequence {sequence}, delivery {delivery}");
        }
        if self.settlements == 0 {
            return Some("the watcher saw no settlement: it shows nothing".to_owned());
        }
        (!self.stale.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines such as `1#2 delivered` and `1#2 settled`, of the second delivery of the first sequence.
    fn watched(text: &str) -> Watched {
        let seen = text.split(", ").map(|line| {
            let (place, word) = line.split_once(' ').unwrap();
            let (sequence, delivery) = place.split_once('#').unwrap();
            Seen {
                sequence: sequence.parse().unwrap(),
                delivery: delivery.parse().unwrap(),
                what: if word == "settled" {
                    What::Settled
                } else {
                    What::Delivered
                },
            }
        });
        Watched::of(&seen.collect::<Vec<_>>())
    }

    #[test]
    fn an_ack_subject_says_its_place_in_both_layouts_and_others_say_nothing() {
        let said = Some((42, 3));
        let rest = "CRASH__JOBS.worker__work.3.42.7.1700000000123456789.5";
        assert_eq!(place(&format!("$JS.ACK.{rest}")), said);
        assert_eq!(place(&format!("$JS.ACK._.hash.{rest}")), said);
        assert_eq!(place(&format!("$JS.ACK.hub.hash.{rest}.random")), said);
        for other in [
            "$JS.ACK.CRASH__JOBS.worker__do.3.42.7.1700000000123456789.5",
            "$JS.ACK.TW_WORKER.worker__work.3.42.7.1700000000123456789.5",
            "crash.jobs.job.posted.fine-0000001",
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_later_attempt_settles_is_taken_over_and_no_fault() {
        let watched =
            watched("1#1 delivered, 1#2 delivered, 1#2 settled, 2#1 delivered, 2#1 settled, 2#2 delivered");
        assert_eq!((watched.taken_over, watched.settlements), (1, 2));
        assert_eq!(watched.faults(), None);
    }

    #[test]
    fn what_an_earlier_attempt_settles_beside_a_later_one_is_a_fault() {
        for text in [
            "1#1 delivered, 1#2 delivered, 1#1 settled, 1#2 settled",
            "1#1 delivered, 1#2 delivered, 1#2 settled, 1#1 settled",
        ] {
            let watched = watched(text);
            assert_eq!(watched.stale(), 1, "{text}");
            assert!(
                watched
                    .faults()
                    .is_some_and(|fault| fault.ends_with("sequence 1, delivery 1"))
            );
        }
    }

    #[test]
    fn who_saw_nothing_shows_nothing() {
        assert!(Watched::of(&[]).faults().is_some());
    }
}
