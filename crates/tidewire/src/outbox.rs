//! What a handler sends while it handles one message.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidewire_core::{
    Class, EncodeError, Extras, Failure, Identity, Kind, Message, MessageId, MessageType, OrFail, Outgoing,
    Stamp, TraceContext,
};

use crate::{
    clock,
    inbox::{Found, Inbox},
    input::Input,
    publish_error::PublishError,
    sender::Sender,
};

/// Holds back the events and durable commands of one delivery until its handler has succeeded, and gives everything that follows from it
/// an identity, a correlation and a trace.
#[derive(Debug)]
pub(crate) struct Outbox {
    input: Input,
    trace: TraceContext,
    handler: Arc<str>,
    sender: Sender,
    /// Where it is recorded that the message was handled, if it is to have one effect.
    inbox: Option<Box<(Inbox, Identity)>>,
    emitted: Mutex<Vec<Result<Outgoing, EncodeError>>>,
    /// How many outputs of each name there were.
    counts: Mutex<BTreeMap<&'static str, u32>>,
}

impl Outbox {
    pub(crate) fn new(
        input: Input,
        trace: TraceContext,
        handler: Arc<str>,
        sender: Sender,
        inbox: Option<(Inbox, Identity)>,
    ) -> Self {
        Self {
            input,
            trace,
            handler,
            sender,
            inbox: inbox.map(Box::new),
            emitted: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// Keeps an event until [`Outbox::publish`].
    pub(crate) fn emit<E: Message>(&self, event: &E, extras: Extras) {
        let outgoing = self.sender.write(event, self.stamp(E::TYPE), extras);
        lock(&self.emitted).push(outgoing);
    }

    /// Keeps a durable command until [`Outbox::publish`].
    pub(crate) fn dispatch<C: Message>(&self, command: &C, extras: Extras) {
        let outgoing = self.sender.write(command, self.stamp(C::TYPE), extras);
        let outgoing = outgoing.and_then(Outgoing::into_queue);
        lock(&self.emitted).push(outgoing);
    }

    /// Writes a request that follows from the message.
    pub(crate) fn request<M: Message>(&self, message: &M) -> Result<Outgoing, EncodeError> {
        self.sender.write(message, self.stamp(M::TYPE), Extras::default())
    }

    /// Looks whether the message was handled before, and then sends once more what it led to; gives back what
    /// [`Outbox::publish`] is to be told.
    pub(crate) async fn before(&self) -> Result<Before, Failure> {
        match &self.inbox {
            // Boxed: each message would hold the room for it.
            Some(recorded) => Box::pin(self.look(&recorded.0, &recorded.1)).await,
            None => Ok(Before::New(0)),
        }
    }

    async fn look(&self, inbox: &Inbox, identity: &Identity) -> Result<Before, Failure> {
        match inbox.find(identity).await? {
            Found::New(sequence) => Ok(Before::New(sequence)),
            Found::Handled(outputs) => {
                self.send(&outputs).await?;
                Ok(Before::Handled)
            }
        }
    }

    /// Publishes what was emitted, one after the other and each confirmed by its stream: pipelined, a server's crash
    /// would leave holes in the middle. Nothing is published where one of them cannot be written, or is too large for the
    /// server.
    ///
    /// With an inbox they are on record first: from then on they are sent, whoever handles the message.
    pub(crate) async fn publish(&self, expected: u64) -> Result<(), Failure> {
        let emitted = std::mem::take(&mut *lock(&self.emitted));
        if emitted.is_empty() && self.inbox.is_none() {
            return Ok(());
        }
        // Boxed: each message would hold the room for it.
        Box::pin(self.publish_all(emitted, expected)).await
    }

    async fn publish_all(
        &self,
        emitted: Vec<Result<Outgoing, EncodeError>>,
        expected: u64,
    ) -> Result<(), Failure> {
        let emitted: Result<Vec<_>, _> = emitted.into_iter().collect();
        let mut outputs = emitted.or_reject()?;
        for output in &mut outputs {
            // Before it is on record, which has no more room than a message.
            if let Some(packed) = self.sender.packed(output).await.map_err(failure)? {
                *output = packed;
            }
        }
        for output in &outputs {
            self.sender.fits(output).map_err(failure)?;
        }
        if let Some(recorded) = &self.inbox {
            let (inbox, identity) = &**recorded;
            outputs = inbox.commit(identity, expected, outputs).await?;
        }
        self.send(&outputs).await
    }

    async fn send(&self, outputs: &[Outgoing]) -> Result<(), Failure> {
        for outgoing in outputs {
            self.sender.publish(outgoing).await.map_err(failure)?;
            tracing::trace!(target: "tidewire::walk", "stored");
        }
        Ok(())
    }

    /// The stamp of an answer to the message.
    pub(crate) fn reply_stamp(&self) -> Stamp {
        self.stamp_with(clock::new_id(Kind::Reply))
    }

    /// The message that is handled.
    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// The context in which the message was sent.
    pub(crate) fn trace(&self) -> &TraceContext {
        &self.trace
    }

    pub(crate) fn handler(&self) -> &Arc<str> {
        &self.handler
    }

    pub(crate) fn inbox(&self) -> Option<&Inbox> {
        self.inbox.as_ref().map(|recorded| &recorded.0)
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// A stamp whose identity is the same whenever the same input is handled again.
    fn stamp(&self, output: MessageType) -> Stamp {
        let index = {
            let mut counts = lock(&self.counts);
            let count = counts.entry(output.name).or_default();
            *count += 1;
            *count - 1
        };
        let millis = self.input.timestamp().unix_millis();
        let (input, handler) = (self.input.id(), &self.handler);
        self.stamp_with(MessageId::derived(
            output.kind,
            input,
            millis,
            handler,
            output.name,
            index,
        ))
    }

    fn stamp_with(&self, id: MessageId) -> Stamp {
        Stamp {
            id,
            timestamp: clock::now(),
            source: self.sender.service().to_owned(),
            correlation_id: Some(self.input.correlation_id().to_owned()),
            causation_id: Some(self.input.id().to_string()),
            trace: self.trace.clone(),
            format: self.sender.format(),
        }
    }
}

/// What is known of a message before its handler runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    /// It is to be handled; this is what its record expects.
    New(u64),
    /// It was handled.
    Handled,
}

fn failure(error: PublishError) -> Failure {
    // A stream that is full or gone, or a permission that is missing, is no fault of the message.
    let class = if error.is_of_the_message() {
        Class::Reject
    } else {
        Class::Unavailable
    };
    Failure::new(class, error)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
