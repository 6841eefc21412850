//! One message on its way into a handler.

use std::sync::Arc;

use tidewire_core::{DecodeError, Envelope, TraceContext, wire};

use crate::{
    headers::{header, trace_context},
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
        if let Some(contract) = message
            .headers
            .as_ref()
            .and_then(|headers| header(headers, wire::TW_CONTRACT))
            && contract != wire::CONTRACT
        {
            return Err(DecodeError::Contract {
                found: contract.to_owned(),
            });
        }
        let envelope = Arc::new(Envelope::decode(&message.subject, &message.payload)?);
        let trace: TraceContext = trace_context(message.headers.as_ref());
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
