//! The two ways to hear events: from a stream, or live. Durable commands come from a stream too, their queue.

use std::{error::Error as StdError, fmt, marker::PhantomData, num::NonZeroU32, time::Duration};

use tidewire_core::{Policy, PolicyManifest, Quality, RateManifest, Retry, Rule, RuleManifest, Start, Then};

use crate::{
    batch::{BatchArgument, Gather, SettlesEach},
    breaker::Breaker,
    bulkhead::Bulkhead,
    consumer::{ACK_WAIT, Rate},
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
        route.json = T::Message::json;
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
    concurrency: usize,
    terms: DurableTerms,
    layers: Layers,
    arguments: PhantomData<fn(T)>,
}

impl<H, T> Durable<H, T> {
    /// The handler without its types, as one of batches.
    pub(crate) fn into_batch_route<S>(self, gather: Gather, state: &S) -> Route
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, Future: HandlerFuture<Output: SettlesEach> + Send>,
        T: Arguments<S, Message: BatchArgument>,
    {
        let carrier = Carrier::Durable(Box::new(self.terms));
        let mut route = Route::of_batches(&self.name, carrier, self.handler, state, gather);
        route.filter = self.filter;
        route.layers.extend(&self.layers);
        route
    }
}

/// How a durable reads its stream, and what it does with messages that fail.
#[derive(Clone, Debug)]
pub(crate) struct DurableTerms {
    pub(crate) quality: Quality,
    pub(crate) start: Start,
    pub(crate) ack_wait: Duration,
    pub(crate) time_limit: Duration,
    /// The service's where there is none.
    pub(crate) retry: Option<Retry>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) breaker: Breaker,
    pub(crate) rate: Option<Rate>,
    pub(crate) bulkhead: Option<Bulkhead>,
    /// Whether messages of one key are handled one after the other.
    pub(crate) ordered: bool,
}

/// How long a run may take: ten times the ack wait, so that nothing that works is cut off in an ordinary case.
const TIME_LIMIT: Duration = Duration::from_secs(300);

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
        handler,
        filter: None,
        concurrency: 64,
        terms: DurableTerms {
            quality: Quality::AtLeastOnce,
            start: Start::default(),
            ack_wait: ACK_WAIT,
            time_limit: TIME_LIMIT,
            retry: None,
            rules: Vec::new(),
            breaker: Breaker::new(name.clone()),
            rate: None,
            bulkhead: None,
            ordered: false,
        },
        name,
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
        self.terms.start = start;
        self
    }

    /// How many events each instance handles at once; 64 by default, at least 1. With 1, events are handled one after
    /// the other by each instance.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// Handles the events of one key one after the other, in the order of their stream, over all instances; events of
    /// different keys are handled at once, up to the [concurrency](Self::concurrency).
    ///
    /// One instance is active, and another takes over when it stops, or within about six seconds when it dies. While an event
    /// waits to be tried again, later ones of its key wait too, and other keys go on. When it is a dead letter, the next one
    /// of its key is handled. Events of several streams have no order among each other; events without a key are ordered
    /// by their name.
    ///
    /// ```
    /// # use tidewire::prelude::*;
    /// # async fn book(Event(_): Event<tidewire::Any>) {}
    /// # drop(
    /// durable("book", book).ordered_by_key()
    /// # );
    /// ```
    pub fn ordered_by_key(mut self) -> Self {
        self.terms.ordered = true;
        self
    }

    /// How often, and after which delays, a message that failed is tried again; that of the
    /// [service](crate::Service::retry) by default. When no attempt is left the message is a dead letter.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.terms.retry = Some(retry);
        self
    }

    /// What follows from errors of type `E`, wherever they are in the chain of sources: before the policy, and before
    /// what the handler said of the error; a decline is no error. Of several rules the first that matches wins.
    pub fn on_error<E: StdError + 'static>(self, then: Then) -> Self {
        self.on_error_if(|_: &E| true, then)
    }

    /// What follows from those errors of type `E` of which `holds` is true: see [`on_error`](Self::on_error).
    pub fn on_error_if<E: StdError + 'static>(
        mut self,
        holds: impl Fn(&E) -> bool + Send + Sync + 'static,
        then: Then,
    ) -> Self {
        self.terms.rules.push(Rule::new(holds, then));
        self
    }

    /// How long one run may take; five minutes by default. A run that takes longer has failed as `timed_out` and is
    /// tried again. It is dropped at its next `.await`; one that blocks its thread goes on, and settles nothing.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.terms.time_limit = limit;
        self
    }

    /// After how long without a sign of life a message is delivered to another instance; 30 seconds by default, at
    /// least one. The instance that has it gives a sign three times as often, so that this is how long a message waits
    /// whose instance has died.
    pub fn ack_wait(mut self, wait: Duration) -> Self {
        self.terms.ack_wait = wait.max(Duration::from_secs(1));
        self
    }

    /// Takes part in a breaker that other durables share, because they need the same thing. Without this line a durable
    /// has a breaker of its own, by its own name.
    pub fn circuit_breaker(mut self, breaker: &Breaker) -> Self {
        self.terms.breaker = breaker.clone();
        self
    }

    /// One effect for one message, however often it is published or delivered, for seven days.
    ///
    /// That a message was handled is recorded together with what its handler emits and dispatches; whoever gets it again
    /// sends what is on record, with the same ids, and runs nothing. What a handler does beside that, such as a call to a
    /// payment gateway, it must make safe itself, with the [`IdempotencyKey`](crate::extract::IdempotencyKey). It costs
    /// a read, a write and a key of a bucket for each message, and what a handler sends for one message must fit into
    /// one message: so it is off unless asked for.
    pub fn effectively_once(mut self) -> Self {
        self.terms.quality = Quality::EffectivelyOnce;
        self
    }

    /// At most `messages` in the time `per`, evenly spread, by each instance; unlimited by default.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tidewire::prelude::*;
    /// # async fn charge(Event(_): Event<tidewire::Any>) {}
    /// # drop(
    /// durable("charge", charge).rate_limit(100, Duration::from_secs(1))
    /// # );
    /// ```
    pub fn rate_limit(mut self, messages: u32, per: Duration) -> Self {
        let messages = NonZeroU32::new(messages).unwrap_or(NonZeroU32::MIN);
        self.terms.rate = Some(Rate { messages, per });
        self
    }

    /// Takes part in a limit that other durables share.
    pub fn bulkhead(mut self, bulkhead: &Bulkhead) -> Self {
        self.terms.bulkhead = Some(bulkhead.clone());
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
            carrier: Carrier::Durable(Box::new(self.terms)),
            filter: self.filter,
            concurrency: self.concurrency,
            layers: self.layers,
        };
        (terms, self.handler)
    }
}

impl DurableTerms {
    /// What becomes of messages that fail; `retry` is the service's.
    pub(crate) fn policy(&self, retry: Retry) -> Policy {
        Policy {
            rules: self.rules.clone(),
            retry: self.retry.unwrap_or(retry),
        }
    }

    /// All of it as plain data.
    pub(crate) fn manifest(&self, retry: Retry) -> PolicyManifest {
        let rule = |rule: &Rule| RuleManifest {
            error: rule.error().to_owned(),
            then: rule.then(),
        };
        PolicyManifest {
            quality: self.quality,
            ordered_by_key: self.ordered,
            retry: self.retry.unwrap_or(retry),
            rules: self.rules.iter().map(rule).collect(),
            time_limit: self.time_limit,
            ack_wait: self.ack_wait,
            breaker: self.breaker.name().to_owned(),
            rate: self.rate.map(|rate| RateManifest {
                messages: rate.messages.get(),
                per: rate.per,
            }),
            bulkhead: self.bulkhead.as_ref().map(Bulkhead::limit),
        }
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
