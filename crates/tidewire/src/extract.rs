//! What a handler takes as arguments.

mod foreign;
mod heard;

use tidewire_core::{
    CommandMessage, DecodeError, EventSet, Failure, Message, MessageId, MessageManifest, MessageType,
    Metadata, QueryMessage, Timestamp,
};

pub use self::{
    foreign::{Json, Raw},
    heard::{DurableWay, HeardBy, LiveWay},
};
pub use crate::delivery::{Delivery, StoredAt};

/// The event that is handled; the last argument. `E` is one event, a set of events, or [`Any`](crate::Any).
#[derive(Clone, Copy, Debug)]
pub struct Event<E>(pub E);

/// The command that is handled; the last argument.
#[derive(Clone, Copy, Debug)]
pub struct Command<C>(pub C);

/// The query that is answered; the last argument.
#[derive(Clone, Copy, Debug)]
pub struct Query<Q>(pub Q);

/// A part of the service's state, given by [`Service::state`](crate::Service::state).
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

/// The number of this run of the handler on the message, from 1. A delivery whose handler never began is none; a replayed
/// dead letter counts on from the runs that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u32);

/// How a part of the state is taken out of the whole.
///
/// Every `T: Clone` is a part of itself. For a state of several parts: `#[derive(FromRef)]`, or by hand:
///
/// ```
/// use tidewire::FromRef;
///
/// # #[derive(Clone)] struct Gateway;
/// struct App {
///     gateway: Gateway,
/// }
/// impl FromRef<App> for Gateway {
///     fn from_ref(app: &App) -> Self {
///         app.gateway.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from the service's state `{S}`",
    label = "not part of the state `{S}`",
    note = "call `.state(…)` before the handlers, and add `#[derive(FromRef)]` to the state or implement `FromRef<{S}>` for `{Self}`"
)]
pub trait FromRef<S> {
    /// The part.
    fn from_ref(state: &S) -> Self;
}

impl<T: Clone> FromRef<T> for T {
    fn from_ref(state: &T) -> Self {
        state.clone()
    }
}

/// An argument that stands before the message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument before the message",
    label = "cannot be an argument here",
    note = "a part of the service's state is taken as `State<T>`",
    note = "the message itself, `Event<E>`, `Command<C>` or `Query<Q>`, is the LAST argument, and there is only one"
)]
pub trait FromDelivery<S>: Sized {
    /// Takes the argument out of a delivery.
    ///
    /// # Errors
    /// A [`Failure`] ends the attempt as if the handler had returned it.
    fn from_delivery(delivery: &Delivery, state: &S) -> Result<Self, Failure>;

    /// What a handler with this argument sends.
    fn sends() -> Sends {
        Sends::default()
    }
}

/// The message: a handler's last argument.
#[diagnostic::on_unimplemented(
    message = "the last argument of a handler is the message, and `{Self}` is not one",
    label = "expected `Event<E>`, `Command<C>` or `Query<Q>`",
    note = "put the message last; everything else stands before it"
)]
pub trait FromMessage: Sized {
    /// Whether it takes only messages of Tidewire's and `CloudEvents`. Others are then refused before the handler, its
    /// layers and its extractors.
    const NEEDS_ENVELOPE: bool = true;

    /// Whether it takes the message as it came, be its body compressed or elsewhere.
    const AS_IT_CAME: bool = false;

    /// Takes the message out of a delivery.
    ///
    /// # Errors
    /// [`DecodeError`] where the message is not what the handler takes.
    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError>;
}

/// The last argument of a handler of commands.
#[diagnostic::on_unimplemented(
    message = "the last argument of a command handler is `Command<C>`, and here it is `{Self}`",
    label = "does not take `Command<C>` as its last argument",
    note = "put `Command<C>` last; extractors such as `State<T>` and `Emit<E>` stand before it",
    note = "a handler of a query is given to `.query(handler)`, one of events to `.on(durable(\"name\", handler))`"
)]
pub trait CommandArgument: FromMessage {
    /// The command.
    type Command: CommandMessage;
}

impl<C: CommandMessage> CommandArgument for Command<C> {
    type Command = C;
}

/// The last argument of a handler of queries.
#[diagnostic::on_unimplemented(
    message = "the last argument of a query handler is `Query<Q>`, and here it is `{Self}`",
    label = "does not take `Query<Q>` as its last argument",
    note = "put `Query<Q>` last; extractors such as `State<T>` stand before it",
    note = "a handler of a command is given to `.command(handler)`, one of events to `.on(durable(\"name\", handler))`"
)]
pub trait QueryArgument: FromMessage {
    /// The query.
    type Query: QueryMessage;
}

impl<Q: QueryMessage> QueryArgument for Query<Q> {
    type Query = Q;
}

/// What a handler sends: by its arguments, so that it can be known without running it.
#[derive(Clone, Debug, Default)]
pub struct Sends {
    pub(crate) emits: Vec<(MessageType, MessageManifest)>,
    pub(crate) asks: Vec<(MessageType, MessageManifest)>,
    /// Durable commands.
    pub(crate) commands: Vec<(MessageType, MessageManifest)>,
}

impl Sends {
    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().fold(Self::default(), |mut all, part| {
            all.emits.extend(part.emits);
            all.asks.extend(part.asks);
            all.commands.extend(part.commands);
            all
        })
    }
}

impl<S, T: FromRef<S>> FromDelivery<S> for State<T> {
    fn from_delivery(_: &Delivery, state: &S) -> Result<Self, Failure> {
        Ok(Self(T::from_ref(state)))
    }
}

impl<S> FromDelivery<S> for Attempt {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(Self(delivery.attempt()))
    }
}

/// A text that is the same whenever this handler is given this message, and another one for every other message or
/// handler: what a payment gateway and its like take to do a thing once.
///
/// Copies of a message that were published twice have one key too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub String);

impl<S> FromDelivery<S> for IdempotencyKey {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(Self(format!("{}.{}", delivery.handler(), delivery.identity())))
    }
}

impl<S> FromDelivery<S> for MessageId {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(delivery.id().clone())
    }
}

impl<S> FromDelivery<S> for Metadata {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        let envelope = delivery.envelope();
        Ok(envelope
            .map(|envelope| envelope.metadata.clone())
            .unwrap_or_default())
    }
}

impl<S> FromDelivery<S> for Timestamp {
    fn from_delivery(delivery: &Delivery, _: &S) -> Result<Self, Failure> {
        Ok(delivery.timestamp())
    }
}

impl<E: EventSet> FromMessage for Event<E> {
    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError> {
        E::decode(delivery.encoded()?).map(Self)
    }
}

impl<C: CommandMessage> FromMessage for Command<C> {
    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError> {
        decode(delivery).map(Self)
    }
}

impl<Q: QueryMessage> FromMessage for Query<Q> {
    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError> {
        decode(delivery).map(Self)
    }
}

fn decode<M: Message>(delivery: &Delivery) -> Result<M, DecodeError> {
    delivery.encoded()?.decode()
}
