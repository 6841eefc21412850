//! Durable commands as a handler's output.

use std::{fmt, sync::Arc};

use tidewire_core::{CommandMessage, Extras, Failure, MessageManifest};

use crate::{
    emit::Recorded,
    extract::{Delivery, FromDelivery, Sends},
    outbox::Outbox,
};

/// An argument through which a handler sends durable commands of type `C`.
///
/// A durable command waits in the queue of its context until the service that works it has handled it: that service may
/// be down, and nobody answers. For an answer there is [`Ask`](crate::Ask).
///
/// Commands wait until the handler has succeeded, in one order with the events of [`Emit`](crate::Emit); they are then
/// stored one after the other before the message is acked. A handler that fails sends nothing. A message that is handled
/// again sends the same commands with the same ids, so that a queue recognises them within its duplicate window.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// use tidewire::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.checkout.order.placed")]
/// # struct OrderPlaced { order_id: String }
/// # #[derive(Command, Serialize, Deserialize, JsonSchema, Debug, PartialEq)]
/// # #[command(subject = "orders.payments.payment.process")]
/// # struct ProcessPayment { order_id: String }
/// async fn pay(payments: Dispatch<ProcessPayment>, Event(placed): Event<OrderPlaced>) {
///     payments.dispatch(ProcessPayment { order_id: placed.order_id });
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (payments, sent) = Dispatch::recording();
/// pay(payments, Event(OrderPlaced { order_id: "o-1".into() })).await;
/// assert_eq!(sent.take(), [ProcessPayment { order_id: "o-1".into() }]);
/// # }
/// ```
pub struct Dispatch<C>(Target<C>);

enum Target<C> {
    Outbox(Arc<Outbox>),
    Recording(Recorded<C>),
}

impl<C> Dispatch<C> {
    /// A `Dispatch` for tests, and what it was given.
    pub fn recording() -> (Self, Recorded<C>) {
        let (ours, theirs) = Recorded::pair();
        (Self(Target::Recording(ours)), theirs)
    }

    /// Sends `command` if the handler succeeds.
    ///
    /// A command that cannot be written (its key cannot be part of a subject, say) fails the message once the handler
    /// has returned.
    pub fn dispatch(&self, command: C)
    where
        C: CommandMessage,
    {
        self.dispatch_with(command, Extras::default());
    }

    /// Sends `command` with headers and metadata of the handler's own. A recording keeps the command alone.
    pub fn dispatch_with(&self, command: C, extras: Extras)
    where
        C: CommandMessage,
    {
        match &self.0 {
            Target::Outbox(outbox) => outbox.dispatch(&command, extras),
            Target::Recording(commands) => commands.keep(command),
        }
    }
}

impl<C> fmt::Debug for Dispatch<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").finish_non_exhaustive()
    }
}

impl<S, C: CommandMessage> FromDelivery<S> for Dispatch<C> {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(Self(Target::Outbox(delivery.outbox.clone())))
    }

    fn sends() -> Sends {
        Sends {
            commands: vec![(C::TYPE, MessageManifest::request::<C>())],
            ..Sends::default()
        }
    }
}
