//! One message on its way into a handler.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_nats::Message;
use bytes::Bytes;
use tidewire_core::{
    DecodeError, Encoded, Envelope, Identity, MessageId, Timestamp, real_subject_or_own, tw_subject,
};

use crate::{
    headers::{header, pairs, trace_context},
    inbox::Inbox,
    input::Input,
    outbox::Outbox,
    sender::Sender,
};

/// One message as it was delivered: what extractors read, and what layers see.
pub struct Delivery {
    message: Arc<Message>,
    attempt: u32,
    stored: Option<StoredAt>,
    /// The events that are handled with this one, of the handler's type.
    batch: Mutex<Option<Box<dyn Any + Send>>>,
    pub(crate) outbox: Arc<Outbox>,
}

/// Where a stream keeps a message; shown as `ORDERS__PAYMENTS:42`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAt {
    /// The stream.
    pub stream: Arc<str>,
    /// The message's place in it, from 1.
    pub sequence: u64,
    /// When it was stored.
    pub time: Timestamp,
}

impl Delivery {
    pub(crate) fn new(
        message: Arc<Message>,
        attempt: u32,
        stored: Option<StoredAt>,
        handler: &Arc<str>,
        sender: &Sender,
        inbox: Option<&Inbox>,
    ) -> Self {
        let input = Input::read(&message, stored.as_ref());
        let trace = trace_context(message.headers.as_ref());
        let inbox = inbox.map(|inbox| (inbox.clone(), input.identity(stored.as_ref())));
        let outbox = Outbox::new(input, trace, handler.clone(), sender.clone(), inbox);
        Self {
            message,
            attempt,
            stored,
            batch: Mutex::default(),
            outbox: Arc::new(outbox),
        }
    }

    /// Another form of the same message, delivered as this one is.
    pub(crate) fn of(self, message: Message) -> Self {
        let (outbox, stored) = (self.outbox, self.stored);
        Self::new(
            Arc::new(message),
            self.attempt,
            stored,
            outbox.handler(),
            outbox.sender(),
            outbox.inbox(),
        )
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Leaves events for the handler's last argument.
    pub(crate) fn put_batch<E: Send + 'static>(&self, events: Vec<E>) {
        *self.batch.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(events));
    }

    /// The events that were left.
    pub(crate) fn take_batch<E: 'static>(&self) -> Option<Vec<E>> {
        let left = self.batch.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        left.downcast().ok().map(|events| *events)
    }

    /// What is needed once the arguments are taken out; the body is not.
    pub(crate) fn into_outbox(self) -> Arc<Outbox> {
        self.outbox
    }

    /// The message with its metadata, its data still JSON text. `None` where it is not one of Tidewire's and no
    /// `CloudEvent`, which only handlers of [`Raw`](crate::extract::Raw) and [`Json`](crate::extract::Json) see.
    pub fn envelope(&self) -> Option<&Envelope> {
        match self.outbox.input() {
            Input::Envelope(envelope) => Some(envelope),
            Input::Foreign { .. } => None,
        }
    }

    /// The message, ready to become a type.
    ///
    /// # Errors
    /// [`DecodeError`] says why the message has no envelope.
    pub fn encoded(&self) -> Result<Encoded<'_>, DecodeError> {
        match self.outbox.input() {
            Input::Envelope(envelope) => Ok(envelope.encoded()),
            Input::Foreign { reason, .. } => Err(reason.clone()),
        }
    }

    /// The message's identity: that of its envelope. Without one it is its `Nats-Msg-Id`, or else its stream and
    /// sequence (`LEGACY:42`), or else a new one.
    pub fn id(&self) -> &MessageId {
        self.outbox.input().id()
    }

    /// When the message was sent, by its envelope. Without one it is the time at which its stream stored it, or else at
    /// which it was heard.
    pub fn timestamp(&self) -> Timestamp {
        self.outbox.input().timestamp()
    }

    /// Where the message was sent to: its own subject, also where it is delivered from a queue.
    pub fn subject(&self) -> &str {
        match self.envelope() {
            Some(envelope) => envelope.subject.as_str(),
            None => real_subject_or_own(&self.message.subject, tw_subject(self.headers())),
        }
    }

    /// The body.
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// Names and values of the headers, one by one.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(self.message.headers.as_ref())
    }

    /// A header's first value, whatever the case in which its name was written.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.message.headers.as_ref()?, name)
    }

    /// The same for every copy of the message, however often it is published or delivered: see
    /// [`IdempotencyKey`](crate::extract::IdempotencyKey).
    pub fn identity(&self) -> Identity {
        self.outbox.input().identity(self.stored.as_ref())
    }

    /// Where the message is stored; `None` for live messages and for requests.
    pub fn stored(&self) -> Option<&StoredAt> {
        self.stored.as_ref()
    }

    /// The number of this run, from 1; see [`Attempt`](crate::Attempt).
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The handler that it is for, among all handlers of all services: `<service>__<durable>`, `<service>__<message>` or
    /// `<service>__live-<n>`.
    pub fn handler(&self) -> &str {
        self.outbox.handler()
    }
}

/// Without the body and the headers: layers are where people log.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("subject", &self.subject())
            .field("id", self.id())
            .field("attempt", &self.attempt)
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for StoredAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.sequence)
    }
}
