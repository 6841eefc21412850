//! The two ways to hear events: from a stream, or live. Durable commands come from a stream too, their queue.

use std::{fmt, marker::PhantomData};

use tidewire_core::Start;

use crate::{
    extract::{DurableWay, HeardBy, LiveWay},
    handler::{Arguments, Handler, HandlerFuture},
    layer::{HandlerLayer, Layers},
    returns::Settles,
    route::{Carrier, Route},
};

/// A handler of events or of a durable command that [`Service::on`](crate::Service::on) accepts: made by [`durable`] or [`live`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to `.on(…)`",
    label = "not a subscription",
    note = "write `.on(durable(\"name\", handler))` or `.on(live(handler))`; for commands and queries `.command(handler)` and `.query(handler)`"
)]
pub trait Subscription {
    /// The handler.
    type Handler;
    /// Its arguments, as a tuple.
    type Arguments;
    /// [`DurableWay`] or [`LiveWay`].
    type Way;

    /// How events come to it, and the handler itself.
    #[doc(hidden)]
    fn into_parts(self) -> (Terms, Self::Handler);
}

/// How events come to a handler: everything that [`durable`] or [`live`] was told.
#[derive(Debug)]
pub struct Terms {
    /// The durable name; a live handler is called by what it hears.
    name: Option<String>,
    carrier: Carrier,
    filter: Option<String>,
    concurrency: usize,
    layers: Layers,
}

impl Terms {
    /// The handler without its types.
    pub(crate) fn into_route<S, W, H, T>(self, handler: H, state: &S) -> Route
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, Future: HandlerFuture<Output: Settles> + Send>,
        T: Arguments<S, Message: HeardBy<W>>,
    {
        let takes = T::Message::takes();
        let name = self.name.unwrap_or_else(|| match takes.first() {
            Some((contract, _)) => contract.name.into(),
            None => self.filter.clone().unwrap_or_default(),
        });
        let mut route = Route::of_events(&name, self.carrier, takes, handler, state);
        route.filter = self.filter;
        route.concurrency = self.concurrency;
        route.layers.extend(&self.layers);
        route
    }
}

/// A handler that reads a stream through a durable consumer; made by [`durable`].
#[must_use = "give it to `.on(…)`"]
pub struct Durable<H, T> {
    name: String,
    handler: H,
    filter: Option<String>,
    start: Start,
    concurrency: usize,
    layers: Layers,
    arguments: PhantomData<fn(T)>,
}

/// Handles events from their stream, at least once each: those too that were stored while the service was down.
///
/// A handler whose last argument is `Command<C>` works the durable commands of that type, from the queue of their
/// context, which this service declares with [`Service::context`](crate::Service::context) and keeps. Nobody waits for an
/// answer: it gives back `()` or `Result<(), Failure>`. They are sent by [`Dispatch`](crate::Dispatch) and
/// [`Bus::send`](crate::Bus::send).
///
/// `name` names the consumer, `<service>__<name>`, whose place in the stream the server keeps. It is never derived
/// from the code: a renamed function must not begin again at the first event. Instances of a service share it, so
/// that each event is handled by one of them.
pub fn durable<H: Handler<T>, T>(name: impl Into<String>, handler: H) -> Durable<H, T> {
    let name = name.into();
    Durable {
        name,
        handler,
        filter: None,
        start: Start::default(),
        concurrency: 64,
        layers: Layers::default(),
        arguments: PhantomData,
    }
}

impl<H, T> Durable<H, T> {
    /// The subjects that a handler of [`Any`](crate::Any), [`Raw`](crate::extract::Raw) or
    /// [`Json`](crate::extract::Json) takes, as a NATS filter such as `orders.>`. The streams are those that have such
    /// subjects when the service starts.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Where to begin when the consumer is made; [`Start::Beginning`] by default. Later starts go on where it was.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// How many events each instance handles at once; 64 by default, at least 1. With 1, events are handled one after
    /// the other by each instance.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// Puts a tower layer around this handler; the last one that is given is the outermost. See
    /// [`layer`](crate::layer).
    pub fn layer(mut self, layer: impl HandlerLayer) -> Self {
        self.layers.push(layer);
        self
    }
}

impl<H, T> Subscription for Durable<H, T> {
    type Handler = H;
    type Arguments = T;
    type Way = DurableWay;

    fn into_parts(self) -> (Terms, H) {
        let terms = Terms {
            name: Some(self.name),
            carrier: Carrier::Durable { start: self.start },
            filter: self.filter,
            concurrency: self.concurrency,
            layers: self.layers,
        };
        (terms, self.handler)
    }
}

/// A handler that hears events while they are published; made by [`live`].
#[must_use = "give it to `.on(…)`"]
pub struct Live<H, T> {
    handler: H,
    filter: Option<String>,
    queue_group: Option<String>,
    concurrency: usize,
    layers: Layers,
    arguments: PhantomData<fn(T)>,
}

/// Hears events as they are published, at most once each: what is sent while the service is down, disconnected or too
/// slow is not heard. For displays and caches; for work there is [`durable`]. Commands are not heard in this way.
pub fn live<H: Handler<T>, T>(handler: H) -> Live<H, T> {
    Live {
        handler,
        filter: None,
        queue_group: None,
        concurrency: 64,
        layers: Layers::default(),
        arguments: PhantomData,
    }
}

impl<H, T> Live<H, T> {
    /// The subjects that a handler of [`Any`](crate::Any), [`Raw`](crate::extract::Raw) or
    /// [`Json`](crate::extract::Json) hears, as a NATS filter such as `orders.>`.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// The group that shares the events: each is heard by one member. Without a group every instance hears each.
    pub fn queue_group(mut self, group: impl Into<String>) -> Self {
        self.queue_group = Some(group.into());
        self
    }

    /// How many events are handled at once; 64 by default, at least 1.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// Puts a tower layer around this handler; the last one that is given is the outermost. See
    /// [`layer`](crate::layer).
    pub fn layer(mut self, layer: impl HandlerLayer) -> Self {
        self.layers.push(layer);
        self
    }
}

impl<H, T> Subscription for Live<H, T> {
    type Handler = H;
    type Arguments = T;
    type Way = LiveWay;

    fn into_parts(self) -> (Terms, H) {
        let terms = Terms {
            name: None,
            carrier: Carrier::Live {
                queue_group: self.queue_group,
            },
            filter: self.filter,
            concurrency: self.concurrency,
            layers: self.layers,
        };
        (terms, self.handler)
    }
}

impl<H, T> fmt::Debug for Durable<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<H, T> fmt::Debug for Live<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("queue_group", &self.queue_group)
            .finish_non_exhaustive()
    }
}
