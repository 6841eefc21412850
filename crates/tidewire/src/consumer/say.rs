//! The last word on a message, to its stream or to what keeps the order of its key.

use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{
    desk::Desk,
    ordered::Seat,
    settle::{Job, send},
};

/// What is said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done.
    Ack,
    /// It comes again, and not before this long.
    Nak(Duration),
    /// It is kept elsewhere.
    Term,
}

/// What came of a message, for the order of its key.
#[derive(Debug)]
pub(super) enum Fate {
    /// Its stream was told; of an ordered durable it is done.
    Settled,
    /// A message of an ordered durable is to run again in its place, after this long.
    Again(Box<Job>, Duration),
    /// Nothing was said about it here.
    Left,
}

impl Said {
    fn payload(self) -> Bytes {
        match self {
            Self::Ack => Bytes::from_static(b"+ACK"),
            Self::Nak(delay) => format!("-NAK {{\"delay\":{}}}", delay.as_nanos()).into(),
            Self::Term => Bytes::from_static(b"+TERM it is in the dead letters"),
        }
    }
}

impl Job {
    /// Says it. A message of an ordered durable is never given back to the server, which would deliver later ones before
    /// it: it is kept in its place, or left for the next term to find.
    pub(super) async fn say(mut self, said: Said, desk: &Desk) -> Fate {
        let Some(seat) = &self.seat else {
            self.tell(said, desk).await;
            return Fate::Settled;
        };
        match said {
            Said::Nak(_) if seat.term.is_over() => Fate::Left,
            Said::Nak(delay) => {
                // As a message that is delivered again: how often it was run is read.
                self.delivery += 1;
                Fate::Again(Box::new(self), delay)
            }
            done => match &seat.parked {
                Some(parked) if parked.remove(&seat.term).await => Fate::Settled,
                Some(_) => Fate::Left,
                None => {
                    let (term, stored) = (seat.term.clone(), self.stored.clone());
                    self.tell(done, desk).await;
                    term.settled(&stored.stream, stored.sequence);
                    Fate::Settled
                }
            },
        }
    }

    async fn tell(self, said: Said, desk: &Desk) {
        let payload = said.payload();
        let until = self.grip.until();
        // Out of hand first: a mark that came after a nak would replace its delay.
        drop(self.grip);
        if matches!(said, Said::Nak(_)) {
            // One that is lost costs a longer delay; one that is said twice might end a run of somebody else.
            send(&desk.sender, self.ack, payload).await;
        } else {
            desk.unheard.say(self.ack, payload, until, self.message);
        }
    }
}

/// What tells a message that nothing more is to begin.
pub(super) fn stop<'a>(seat: Option<&'a Seat>, desk: &'a Desk) -> &'a CancellationToken {
    seat.map_or(&desk.stop, |seat| seat.term.ended())
}
