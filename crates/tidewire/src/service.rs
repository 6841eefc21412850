//! The declaration of a service.

mod check;
mod durables;
mod needs;
mod queue;
mod start;
mod validity;

use std::{net::SocketAddr, pin::pin, time::Duration};

use tidewire_core::{
    CommandMessage, Format, FreeEvent, Manifest, MessageManifest, MessageType, QueryMessage, RequestMessage,
    Retry,
};

use crate::{
    batch::{BatchArgument, Gather, SettlesEach},
    connection::Connection,
    context::Context,
    extract::{CommandArgument, HeardBy, QueryArgument},
    handler::{Arguments, Handler, HandlerFuture},
    layer::{HandlerLayer, Layers},
    packing::Sizes,
    returns::{Answers, Settles},
    route::Route,
    running::{RunError, Running},
    start_error::StartError,
    subscription::{Durable, Subscription},
};

/// A service: what comes in, what handles it, what goes out.
///
/// ```no_run
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// use tidewire::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.payments.payment.processed", key = payment_id)]
/// # struct PaymentProcessed { payment_id: String }
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.shipping.parcel.booked", key = payment_id)]
/// # struct ParcelBooked { payment_id: String }
/// async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
///     booked.emit(ParcelBooked { payment_id: paid.payment_id });
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let nats = tidewire::connect("nats://localhost:4222").await?;
/// Service::new("shipping", env!("CARGO_PKG_VERSION"))
///     .context(Context::new("orders.shipping"))
///     .on(durable("ship-on-payment", ship))
///     .run(nats)
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a service does nothing until `.run(…)`"]
pub struct Service<S = ()> {
    name: String,
    version: String,
    state: S,
    contexts: Vec<Context>,
    routes: Vec<Route>,
    publishes: Vec<(MessageType, MessageManifest)>,
    asks: Vec<(MessageType, MessageManifest)>,
    sends: Vec<(MessageType, MessageManifest)>,
    grace: Duration,
    format: Format,
    sizes: Sizes,
    /// Of durables that have no policy of their own.
    retry: Retry,
    /// Around every handler, once the service starts.
    layers: Layers,
    validates_sent: bool,
    validates_received: bool,
    /// Where metrics and health are served, if they are.
    monitor: Option<SocketAddr>,
}

impl Service<()> {
    /// A service by its name, one word such as `payments`, and its version, such as `env!("CARGO_PKG_VERSION")`.
    ///
    /// The name is in the names of its consumers: a service that is renamed begins again.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            state: (),
            contexts: Vec::new(),
            routes: Vec::new(),
            publishes: Vec::new(),
            asks: Vec::new(),
            sends: Vec::new(),
            grace: Duration::from_secs(25),
            format: Format::default(),
            sizes: Sizes::default(),
            retry: Retry::default(),
            layers: Layers::default(),
            validates_sent: false,
            validates_received: false,
            monitor: None,
        }
    }

    /// What handlers take parts of with [`State`](crate::State); given before the handlers.
    pub fn state<S>(self, state: S) -> Service<S> {
        let Self {
            name,
            version,
            state: (),
            contexts,
            routes,
            publishes,
            asks,
            sends,
            grace,
            format,
            sizes,
            retry,
            layers,
            validates_sent,
            validates_received,
            monitor,
        } = self;
        Service {
            name,
            version,
            state,
            contexts,
            routes,
            publishes,
            asks,
            sends,
            grace,
            format,
            sizes,
            retry,
            layers,
            validates_sent,
            validates_received,
            monitor,
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Service<S> {
    /// Keeps the stream of `context`: it is made, or gains this service's events, when the service starts. So does the
    /// queue of its durable commands, where a durable handler works one.
    pub fn context(mut self, context: Context) -> Self {
        self.contexts.push(context);
        self
    }

    /// Handles events: `.on(durable("name", handler))` from their stream, `.on(live(handler))` as they pass. A durable
    /// handler of a command works the queue of such commands.
    pub fn on<H>(mut self, subscription: H) -> Self
    where
        H: Subscription,
        H::Handler: Handler<H::Arguments, Future: HandlerFuture<Output: Settles>>,
        H::Arguments: Arguments<S, Message: HeardBy<H::Way>>,
        <H::Handler as Handler<H::Arguments>>::Future: Send, // over an `.await` hold `Arc`, not `Rc`, and no lock's guard
    {
        let (terms, handler) = subscription.into_parts();
        self.routes
            .push(terms.into_route::<S, H::Way, _, _>(handler, &self.state));
        self
    }

    /// Handles events in batches: `most` of them in a call, or those that came `within` a time of the first.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use schemars::JsonSchema;
    /// # use serde::{Deserialize, Serialize};
    /// # use tidewire::prelude::*;
    /// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
    /// # #[event(subject = "orders.payments.payment.processed")]
    /// # struct PaymentProcessed { amount: u32 }
    /// async fn store(Batch(paid): Batch<PaymentProcessed>) -> Vec<Result<(), Failure>> {
    ///     paid.into_iter().map(|paid| (paid.amount > 0).then_some(()).ok_or("nothing paid").or_reject()).collect()
    /// }
    ///
    /// # drop(
    /// Service::new("ledger", "1.0.0").on_batch(100, Duration::from_millis(50), durable("store", store))
    /// # );
    /// ```
    ///
    /// The handler gives a result for each event, in their order, and each is settled by its own: those that failed are
    /// tried again, alone, so that one bad event does not fail its neighbours twice. `Result<(), Failure>` says the same
    /// of all of them. What a batch sends would not be known of which event, so that it takes neither `Emit` nor
    /// `Dispatch`. Instead of the durable's concurrency, one batch is handled while the next one gathers.
    pub fn on_batch<H, T>(mut self, most: usize, within: Duration, durable: Durable<H, T>) -> Self
    where
        H: Handler<T, Future: HandlerFuture<Output: SettlesEach>>,
        T: Arguments<S, Message: BatchArgument>,
        H::Future: Send, // over an `.await` hold `Arc`, not `Rc`, and no lock's guard
    {
        let gather = Gather {
            most: most.max(1),
            within,
        };
        self.routes.push(durable.into_batch_route(gather, &self.state));
        self
    }

    /// Answers a command. Instances of the service share the commands: each is handled by one of them.
    pub fn command<C, H, T>(mut self, handler: H) -> Self
    where
        C: CommandMessage,
        H: Handler<T, Future: HandlerFuture<Output: Answers<C::Reply>>>,
        T: Arguments<S, Message: CommandArgument<Command = C>>,
        H::Future: Send, // over an `.await` hold `Arc`, not `Rc`, and no lock's guard
    {
        self.routes
            .push(Route::of_requests::<S, C, H, T>(handler, &self.state));
        self
    }

    /// Answers a query. Instances of the service share the queries: each is answered by one of them.
    pub fn query<Q, H, T>(mut self, handler: H) -> Self
    where
        Q: QueryMessage,
        H: Handler<T, Future: HandlerFuture<Output: Answers<Q::Reply>>>,
        T: Arguments<S, Message: QueryArgument<Query = Q>>,
        H::Future: Send, // over an `.await` hold `Arc`, not `Rc`, and no lock's guard
    {
        self.routes
            .push(Route::of_requests::<S, Q, H, T>(handler, &self.state));
        self
    }

    /// Lets the [`Bus`](crate::Bus) publish `E`. What handlers emit needs no such line: their arguments say it.
    pub fn publishes<E: FreeEvent>(mut self) -> Self {
        self.publishes.push((E::TYPE, MessageManifest::event::<E>()));
        self
    }

    /// Lets the [`Bus`](crate::Bus) ask `M`. What handlers ask needs no such line: their arguments say it.
    pub fn asks<M: RequestMessage>(mut self) -> Self {
        self.asks.push((M::TYPE, MessageManifest::request::<M>()));
        self
    }

    /// Lets the [`Bus`](crate::Bus) send `C` as a durable command. What handlers dispatch needs no such line: their
    /// arguments say it.
    pub fn sends<C: CommandMessage>(mut self) -> Self {
        self.sends.push((C::TYPE, MessageManifest::request::<C>()));
        self
    }

    /// Puts a tower layer around every handler of the service, those too that are added later. It is outside the
    /// handlers' own layers, and the last one that is given is the outermost. See [`layer`](crate::layer).
    pub fn layer(mut self, layer: impl HandlerLayer) -> Self {
        self.layers.push(layer);
        self
    }

    /// How this service writes what it sends; [`Format::Tidewire`] by default. Every format is read, whatever is chosen
    /// here.
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Compresses what it sends as events and durable commands whose body has more than so many bytes
    /// (`Content-Encoding: zstd`); off by default. 65,536 is a good beginning. What others have compressed is read in any
    /// case, and every reader needs the feature `zstd`.
    #[cfg(feature = "zstd")]
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.sizes.compress_above = Some(bytes);
        self
    }

    /// Stores the data of events and durable commands whose body has more than so many bytes, compressed where it is, as an
    /// object of its own in a bucket of their context (a claim check), and what is over the server's `max_payload` in any
    /// case; off by default. 524,288 is a good beginning.
    ///
    /// The message says where the object is, and its handlers find the data as if it had come with it. An object is never
    /// deleted: it outlives every message and dead letter that names it, for as long as nobody deletes it by hand.
    /// Commands and queries that are answered, and answers, always carry their own data.
    pub fn claim_check_above(mut self, bytes: usize) -> Self {
        self.sizes.claim_check_above = Some(bytes);
        self
    }

    /// How many bytes the body of a received message may have once it is decompressed or fetched; 16 MiB by default. A
    /// larger one is a dead letter of the class `too_large` at once. As much memory may be needed for each message that is
    /// handled at the same time.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.sizes.body_limit = bytes;
        self
    }

    /// How often, and after which delays, messages are tried again that a durable without a policy of its own has failed
    /// on. By default twelve times, with delays from one second to five minutes.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Holds every message that this service sends, and every answer that it gives, against the JSON Schema of its type.
    ///
    /// What breaks it is not sent, nor is anything else that the same handler emitted or dispatched:
    /// [`EncodeError::BreaksSchema`](crate::EncodeError::BreaksSchema) says where, and never what was there. Off by
    /// default: a Rust type writes what its schema says but for ranges, lengths, patterns and formats
    /// (`#[schemars(range(min = 1))]`), and the check writes each message a second time.
    pub fn validate_sent(mut self) -> Self {
        self.validates_sent = true;
        self
    }

    /// Holds every message that this service's handlers take, and every answer that it gets, against the JSON Schema of
    /// its type, before the handler and its layers.
    ///
    /// What breaks it is `invalid`: a dead letter at once, or an error answer that is not to be tried again. An older
    /// version is held against its own type's schema, or else against that of the version to which it is patched. Off by
    /// default: the type already rejects what it cannot represent, and the check costs a second pass over each message.
    /// Handlers of [`Any`](crate::Any), [`Raw`](crate::extract::Raw) and [`Json`](crate::extract::Json) have no schema.
    pub fn validate_received(mut self) -> Self {
        self.validates_received = true;
        self
    }

    /// How long what has begun may take to finish when the service is stopped; 25 seconds by default, five less than
    /// Kubernetes gives. Ten more are for what is cut off then to be given back: set `terminationGracePeriodSeconds: 40`
    /// where that matters.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Serves metrics and health over HTTP on `address`, such as `([0, 0, 0, 0], 9464)`: `/metrics` for Prometheus, `/livez`
    /// and `/readyz`. Without this line nobody listens. The port 0 takes one that is free, see
    /// [`Running::monitor_address`].
    ///
    /// It listens before the service starts, and until it has stopped. `/readyz` answers 200 with `ready`, or 503 with a
    /// line for each cause, as [`Running::not_ready`] names them; a breaker that is open or a durable that is paused is
    /// named, and is no reason not to be ready. `/livez` answers 200 until nothing but a restart helps. Both answer in JSON
    /// to who accepts it. Nobody is asked who they are: listen where only those come who may read it.
    ///
    /// `/metrics` has what this process counts through the crate `metrics`, which has one recorder: services of one
    /// process share it, and what you count yourself is there as well. Where the process has installed another one, the
    /// start fails with [`StartError::Recorder`]; the other one then has Tidewire's figures without this line.
    pub fn monitor(mut self, address: impl Into<SocketAddr>) -> Self {
        self.monitor = Some(address.into());
        self
    }

    /// Everything that the declaration says, as plain data; nothing is sent.
    ///
    /// # Errors
    /// [`StartError::Declaration`] where the declaration contradicts itself.
    pub fn manifest(&self) -> Result<Manifest, StartError> {
        check::manifest(self)
    }

    /// Runs until SIGTERM or Ctrl-C; then takes no more work, finishes what has begun, and returns.
    ///
    /// # Errors
    /// [`RunError`] where the service cannot start, could not finish within its grace period, or where its client has
    /// ended for good: then the process has to be started again.
    pub async fn run(self, nats: impl Into<Connection>) -> Result<(), RunError> {
        let mut asked_to_end = pin!(crate::running::shutdown_signal()?);
        let running = tokio::select! {
            started = self.start(nats) => started?,
            () = &mut asked_to_end => return Ok(()),
        };
        running.until(asked_to_end).await
    }

    /// Starts and returns once every handler hears, within a minute: for services inside another program, and for tests.
    ///
    /// # Errors
    /// [`StartError`] names what is wrong and what to change.
    pub async fn start(mut self, nats: impl Into<Connection>) -> Result<Running, StartError> {
        let layers = std::mem::take(&mut self.layers);
        for route in &mut self.routes {
            route.wrap(&layers);
        }
        // Boxed: the caller's future would hold 20 KiB for it, which clippy's `large_futures` blames on the caller.
        Box::pin(start::start(self, nats.into())).await
    }
}
