//! Events as a handler's output.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tidewire_core::{Extras, Failure, FreeEvent, MessageManifest};

use crate::{
    extract::{Delivery, FromDelivery, Sends},
    outbox::Outbox,
};

/// An argument through which a handler emits events of type `E`.
///
/// Events wait until the handler has succeeded; they are then stored one after the other before the message is acked.
/// A handler that fails emits nothing. A message that is handled again emits the same events with the same ids, so
/// that a stream recognises them within its duplicate window.
///
/// A handler is tested as the function that it is:
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// use tidewire::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.payments.payment.processed")]
/// # struct PaymentProcessed { payment_id: String }
/// # #[derive(Event, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
/// # #[event(subject = "orders.shipping.parcel.booked")]
/// # struct ParcelBooked { payment_id: String }
/// async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
///     booked.emit(ParcelBooked { payment_id: paid.payment_id });
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (booked, sent) = Emit::recording();
/// ship(booked, Event(PaymentProcessed { payment_id: "p-1".into() })).await;
/// assert_eq!(sent.take(), [ParcelBooked { payment_id: "p-1".into() }]);
/// # }
/// ```
pub struct Emit<E>(Target<E>);

enum Target<E> {
    Outbox(Arc<Outbox>),
    Recording(Recorded<E>),
}

/// What an [`Emit::recording`] or a [`Dispatch::recording`](crate::Dispatch::recording) was given.
pub struct Recorded<E>(Arc<Mutex<Vec<E>>>);

impl<E> Emit<E> {
    /// An `Emit` for tests, and what it was given.
    pub fn recording() -> (Self, Recorded<E>) {
        let (ours, theirs) = Recorded::pair();
        (Self(Target::Recording(ours)), theirs)
    }

    /// Emits `event` if the handler succeeds.
    ///
    /// An event that cannot be written (its key cannot be part of a subject, say) fails the message once the handler
    /// has returned.
    pub fn emit(&self, event: E)
    where
        E: FreeEvent,
    {
        self.emit_with(event, Extras::default());
    }

    /// Emits `event` with headers and metadata of the handler's own. A recording keeps the event alone.
    pub fn emit_with(&self, event: E, extras: Extras)
    where
        E: FreeEvent,
    {
        match &self.0 {
            Target::Outbox(outbox) => outbox.emit(&event, extras),
            Target::Recording(events) => events.keep(event),
        }
    }
}

impl<E> Recorded<E> {
    /// One record, for who writes it and for who reads it.
    pub(crate) fn pair() -> (Self, Self) {
        let messages = Arc::new(Mutex::default());
        (Self(messages.clone()), Self(messages))
    }

    pub(crate) fn keep(&self, message: E) {
        self.lock().push(message);
    }

    /// The messages so far, in order; they are then forgotten here.
    pub fn take(&self) -> Vec<E> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> fmt::Debug for Emit<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for Recorded<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("messages", &self.lock().len())
            .finish()
    }
}

impl<S, E: FreeEvent> FromDelivery<S> for Emit<E> {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(Self(Target::Outbox(delivery.outbox.clone())))
    }

    fn sends() -> Sends {
        Sends {
            emits: vec![(E::TYPE, MessageManifest::event::<E>())],
            ..Sends::default()
        }
    }
}
