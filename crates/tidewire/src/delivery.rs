//! One message on its way into a handler.

use std::sync::Arc;

use tidewire_core::{DecodeError, Envelope};

use crate::{
    clock,
    headers::{pairs, trace_context},
    outbox::Outbox,
    sender::Sender,
};

/// One message as it was delivered: what extractors read.
#[derive(Debug)]
pub struct Delivery {
    envelope: Arc<Envelope>,
    attempt: u32,
    pub(crate) outbox: Arc<Outbox>,
}

impl Delivery {
    pub(crate) fn decode(
        message: &async_nats::Message,
        attempt: u32,
        handler: &Arc<str>,
        sender: &Sender,
    ) -> Result<Self, DecodeError> {
        let headers = message.headers.as_ref();
        let envelope = Envelope::decode(&message.subject, pairs(headers), &message.payload, clock::now())?;
        let envelope = Arc::new(envelope);
        let trace = trace_context(headers);
        tracing::trace!(target: "tidewire::walk", "decoded");
        let outbox = Arc::new(Outbox::new(
            envelope.clone(),
            trace,
            handler.clone(),
            sender.clone(),
        ));
        Ok(Self {
            envelope,
            attempt,
            outbox,
        })
    }

    /// The message with its metadata; its data is still JSON text.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The number of this delivery, from 1; see [`Attempt`](crate::Attempt).
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn shared_envelope(&self) -> Arc<Envelope> {
        self.envelope.clone()
    }
}
