//! Whether the deliveries of a consumer come whole and in order.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, jetstream::Context as JetStream};
use tidewire_core::{BoxError, wire};
use tokio::time::timeout;

use super::{Seat, Term, baton::Took, lane_of::lane_of};
use crate::{consumer::ack_subject::AckSubject, headers::header};

/// How long an answer is awaited.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The one priority group of a consumer that is ordered by key.
pub(in crate::consumer) const GROUP: &str = "ordered";

/// The deliveries of one consumer in one term.
#[derive(Debug)]
pub(in crate::consumer) struct Admission {
    pub(in crate::consumer) term: Arc<Term>,
    /// What the server calls the pulls that it serves.
    pub(in crate::consumer) pin: Option<String>,
    /// The number of the next delivery. A consumer that was reset counts from 1; a number that is missing went to
    /// somebody else, or got lost.
    next: u64,
    /// Messages up to this place in the stream were delivered before the term.
    again: u64,
}

/// What to do with a delivery.
#[derive(Debug)]
pub(in crate::consumer) enum Admitted {
    /// Handle it; with the number of its delivery, as far as its runs are concerned.
    Handle(Seat, u64),
    /// It was handled before; acknowledge it.
    Done,
    /// It is not the next one: the term is over.
    Nothing,
}

impl Admission {
    /// Resets the consumer to its ack floor, so that whatever is not acknowledged comes again, in order.
    pub(in crate::consumer) async fn begin(
        js: &JetStream,
        stream: &str,
        consumer: &str,
        term: &Arc<Term>,
    ) -> Result<Self, BoxError> {
        let resetting = async {
            let found = js.get_stream_no_info(stream).await?;
            let info = found.consumer_info(consumer).await?;
            // Pulls of the last active instance are served no more.
            found.unpin_consumer(consumer, GROUP).await?;
            // A durable that was not ordered before told nobody what it has done above its ack floor. It would all be run
            // again; so what it holds comes when it comes, and the order begins behind it.
            let is_known = term.knows(stream, &info.created.to_string());
            if !is_known && info.num_ack_pending > 0 {
                let next = info.delivered.consumer_sequence + 1;
                return Ok((info, next));
            }
            found.reset_consumer(consumer, None).await?;
            Ok::<_, BoxError>((info, 1))
        };
        let (info, next) = timeout(ANSWERED_WITHIN, resetting).await??;
        let (delivered, floor) = (info.delivered.stream_sequence, info.ack_floor.stream_sequence);
        term.begin(stream, info.created.to_string(), delivered, floor);
        Ok(Self {
            term: term.clone(),
            pin: None,
            next,
            again: info.delivered.stream_sequence,
        })
    }

    /// Looks at the next delivery.
    pub(in crate::consumer) fn admit(
        &mut self,
        stream: &str,
        message: &Message,
        said: Option<AckSubject>,
    ) -> Admitted {
        let Some(said) = said else {
            self.term.end("a delivery cannot be read");
            return Admitted::Nothing;
        };
        if self.term.is_over() {
            return Admitted::Nothing;
        }
        if said.consumer_sequence != self.next {
            self.term.end("a delivery is missing");
            return Admitted::Nothing;
        }
        self.next += 1;
        if !self.is_pinned(message) {
            self.term.end("the server serves another one");
            return Admitted::Nothing;
        }
        match self.term.took(stream, said.stream_sequence) {
            Took::Done => Admitted::Done,
            Took::Twice => {
                self.term.end("a message in hand came again");
                Admitted::Nothing
            }
            Took::Open => {
                let seat = Seat {
                    term: self.term.clone(),
                    lane: lane_of(message),
                    parked: None,
                };
                // A reset forgets how often a message was delivered; it may have been run, and have killed the process.
                let before = u64::from(said.stream_sequence <= self.again);
                Admitted::Handle(seat, said.delivered + before)
            }
        }
    }

    fn is_pinned(&mut self, message: &Message) -> bool {
        let headers = message.headers.as_ref();
        match headers.and_then(|headers| header(headers, wire::PIN_ID)) {
            Some(pin) => pin == self.pin.get_or_insert_with(|| pin.to_owned()),
            None => true,
        }
    }
}
