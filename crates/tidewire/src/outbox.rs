//! What a handler sends while it handles one message.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tidewire_core::{
    Class, EncodeError, Envelope, Failure, Kind, Message, MessageId, Outgoing, Stamp, TraceContext,
};

use crate::{clock, sender::Sender};

/// Holds back the events of one delivery until its handler has succeeded, and gives everything that follows from it
/// an identity, a correlation and a trace.
#[derive(Debug)]
pub(crate) struct Outbox {
    input: Arc<Envelope>,
    trace: TraceContext,
    handler: Arc<str>,
    sender: Sender,
    emitted: Mutex<Vec<Result<Outgoing, EncodeError>>>,
    asked: AtomicU32,
}

impl Outbox {
    pub(crate) fn new(input: Arc<Envelope>, trace: TraceContext, handler: Arc<str>, sender: Sender) -> Self {
        Self {
            input,
            trace,
            handler,
            sender,
            emitted: Mutex::default(),
            asked: AtomicU32::new(0),
        }
    }

    /// Keeps an event until [`Outbox::publish`].
    pub(crate) fn emit<E: Message>(&self, event: &E) {
        let mut emitted = self.emitted.lock().unwrap_or_else(PoisonError::into_inner);
        let index = u32::try_from(emitted.len()).unwrap_or(u32::MAX);
        emitted.push(Outgoing::message(event, self.stamp(Kind::Event, index)));
    }

    /// Writes a request that follows from the message.
    pub(crate) fn request<M: Message>(&self, message: &M) -> Result<Outgoing, EncodeError> {
        let index = self.asked.fetch_add(1, Ordering::Relaxed);
        Outgoing::message(message, self.stamp(M::TYPE.kind, index))
    }

    /// Publishes what was emitted, one after the other and each confirmed by its stream: pipelined, a server's crash
    /// would leave holes in the middle.
    pub(crate) async fn publish(&self) -> Result<(), Failure> {
        let emitted = std::mem::take(&mut *self.emitted.lock().unwrap_or_else(PoisonError::into_inner));
        for outgoing in emitted {
            let outgoing = outgoing.map_err(|error| Failure::new(Class::Reject, error))?;
            self.sender.publish(&outgoing).await?;
            tracing::trace!(target: "tidewire::walk", "stored");
        }
        Ok(())
    }

    /// The stamp of an answer to the message.
    pub(crate) fn reply_stamp(&self) -> Stamp {
        self.stamp_with(clock::new_id(Kind::Reply))
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// A stamp whose identity is the same whenever the same input is handled again.
    fn stamp(&self, kind: Kind, index: u32) -> Stamp {
        let millis = self.input.timestamp.unix_millis();
        self.stamp_with(MessageId::derived(
            kind,
            &self.input.id,
            millis,
            &self.handler,
            index,
        ))
    }

    fn stamp_with(&self, id: MessageId) -> Stamp {
        Stamp {
            id,
            timestamp: clock::now(),
            source: self.sender.service().to_owned(),
            correlation_id: Some(self.input.correlation_id().to_owned()),
            causation_id: Some(self.input.id.to_string()),
            trace: self.trace.clone(),
        }
    }
}
