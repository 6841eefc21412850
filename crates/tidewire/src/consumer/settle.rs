//! Saying to the stream what became of a message.

use async_nats::Subject;
use bytes::Bytes;
use tidewire_core::{Outcome, Settlement};

use crate::{
    delivery::{Delivery, StoredAt},
    route::Route,
    sender::Sender,
};

use super::in_hand::Grip;

/// A message in hand, before its handler.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) message: async_nats::Message,
    /// Where it is settled.
    pub(super) ack: Subject,
    /// The number of this delivery.
    pub(super) attempt: u32,
    pub(super) stored: Option<StoredAt>,
    pub(super) grip: Grip,
}

impl Job {
    /// Handles the message and settles it.
    pub(super) async fn work(self, route: &Route, sender: &Sender) {
        let Self {
            message,
            ack,
            attempt,
            stored,
            grip,
        } = self;
        let subject = message.subject.clone();
        let delivery = Delivery::new(message, attempt, stored, &route.identity, sender);
        let (outcome, _) = route.attempt(delivery).await;
        let settlement = outcome.settlement(attempt, fastrand::f64());
        report(&outcome, settlement, &subject, attempt, &route.name);
        settle(settlement, ack, grip, sender).await;
    }

    /// Gives the message back, for another instance to take at once.
    pub(super) async fn give_back(self, sender: &Sender) {
        let ack = self.ack.clone();
        drop(self.grip);
        send(sender, ack, Bytes::from_static(b"-NAK")).await;
    }
}

async fn settle(settlement: Settlement, ack: Subject, grip: Grip, sender: &Sender) {
    let payload = match settlement {
        Settlement::Ack => Bytes::from_static(b"+ACK"),
        Settlement::Nak(delay) => format!("-NAK {{\"delay\":{}}}", delay.as_nanos()).into(),
    };
    // Out of hand first: a mark that came after a nak would replace its delay.
    drop(grip);
    send(sender, ack, payload).await;
    tracing::trace!(target: "tidewire::walk", "settled");
}

async fn send(sender: &Sender, ack: Subject, payload: Bytes) {
    if let Err(error) = sender.tell(ack, payload).await {
        tracing::warn!(%error, "a message could not be settled; it is delivered again");
    }
}

fn report(outcome: &Outcome, settlement: Settlement, subject: &str, attempt: u32, handler: &str) {
    match (outcome, settlement) {
        (Outcome::Failed(failure), Settlement::Ack) => {
            tracing::debug!(handler, subject, attempt, %failure, "declined");
        }
        (Outcome::Failed(failure), Settlement::Nak(delay)) => {
            tracing::warn!(handler, subject, attempt, ?delay, %failure, "failed; it is delivered again");
        }
        (Outcome::NotUnderstood(error), Settlement::Nak(delay)) => {
            tracing::error!(handler, subject, ?delay, %error, class = error.class(), "not understood; it is kept");
        }
        (Outcome::Panicked(text), Settlement::Nak(delay)) => {
            tracing::error!(handler, subject, attempt, ?delay, panic = %text, "panicked; it is delivered again");
        }
        _ => {}
    }
}
