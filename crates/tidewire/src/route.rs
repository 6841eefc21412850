//! A handler without its types: what it takes, what it sends, and how to call it.

use std::{any::Any, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::poll_immediate};
use serde_json::value::{RawValue, to_raw_value};
use tidewire_core::{
    Any as AnyEvent, Class, DecodeError, Encoded, EventSet, Failure, Kind, MessageManifest, MessageType,
    Outcome, RequestMessage, Validity,
};
use tokio::time::{Instant, timeout};

use crate::{
    batch::{self, BatchArgument, Gather, SettlesEach},
    extract::{Delivery, FromMessage, Sends},
    handler::{Arguments, Handler, HandlerFuture},
    layer::{Handled, Inner, Layers, Unhandled},
    metrics::Attempts,
    outbox::{Before, Outbox},
    returns::{Answers, Settles},
    subscription::DurableTerms,
};

/// What a handler answered, as JSON text; `None` for events.
pub(crate) type Answer = Option<Box<RawValue>>;

/// Reads data as JSON text, for people to look at.
pub(crate) type ToJson = fn(Encoded<'_>) -> Result<Box<RawValue>, DecodeError>;

/// One handler of a service.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    /// The handler among all handlers of all services: part of the identity of what it sends.
    pub(crate) identity: Arc<str>,
    pub(crate) takes: Vec<(MessageType, MessageManifest)>,
    /// The filter of a handler that takes whatever matches.
    pub(crate) filter: Option<String>,
    pub(crate) sends: Sends,
    pub(crate) concurrency: usize,
    pub(crate) carrier: Carrier,
    /// Innermost first; none of them is around `handler` before [`Route::wrap`].
    pub(crate) layers: Layers,
    /// Where its attempts are counted, once it starts.
    pub(crate) attempts: Attempts,
    /// Whether it handles several messages in one call.
    pub(crate) batches: bool,
    /// What the messages that it takes are held against, if the service does so.
    pub(crate) schemas: Option<Arc<Validity>>,
    /// Reads what it takes.
    pub(crate) json: ToJson,
    needs_envelope: bool,
    as_it_came: bool,
    handler: Inner,
}

/// What brings messages to a handler.
#[derive(Clone, Debug)]
pub(crate) enum Carrier {
    Durable(Box<DurableTerms>),
    Live { queue_group: Option<String> },
    Request { kind: Kind },
}

impl Route {
    /// A handler of events, or of a durable command.
    pub(crate) fn of_events<S, H, T>(
        name: &str,
        carrier: Carrier,
        takes: Vec<(MessageType, MessageManifest)>,
        handler: H,
        state: &S,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, Future: HandlerFuture<Output: Settles> + Send>,
        T: Arguments<S, Message: FromMessage>,
    {
        let (state, layers) = (state.clone(), handler.layers());
        let inner = Inner::new(move |delivery: Delivery| {
            let (handler, state) = (handler.clone(), state.clone());
            async move {
                let arguments = T::extract(&delivery, &state)?;
                let outbox = delivery.into_outbox();
                handler.invoke(arguments).run().await.settle()?;
                Ok(Handled { answer: None, outbox })
            }
            .boxed()
        });
        Self::new::<S, T>(name, carrier, takes, layers, inner)
    }

    /// A handler of batches.
    pub(crate) fn of_batches<S, H, T>(
        name: &str,
        carrier: Carrier,
        handler: H,
        state: &S,
        gather: Gather,
    ) -> Self
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, Future: HandlerFuture<Output: SettlesEach> + Send>,
        T: Arguments<S, Message: BatchArgument>,
    {
        let takes = <T::Message as BatchArgument>::Events::manifest();
        let layers = handler.layers();
        let inner = batch::inner::<S, <T::Message as BatchArgument>::Events, H, T>(handler, state, gather);
        let mut route = Self::new::<S, T>(name, carrier, takes, layers, inner);
        // One batch is handled while the next one gathers.
        route.concurrency = gather.most.saturating_mul(2);
        route.batches = true;
        route.json = <T::Message as BatchArgument>::Events::json;
        route
    }

    /// A handler that answers `M`.
    pub(crate) fn of_requests<S, M, H, T>(handler: H, state: &S) -> Self
    where
        S: Clone + Send + Sync + 'static,
        M: RequestMessage,
        H: Handler<T, Future: HandlerFuture<Output: Answers<M::Reply>> + Send>,
        T: Arguments<S, Message: FromMessage>,
    {
        let (state, layers) = (state.clone(), handler.layers());
        let inner = Inner::new(move |delivery: Delivery| {
            let (handler, state) = (handler.clone(), state.clone());
            async move {
                let arguments = T::extract(&delivery, &state)?;
                let outbox = delivery.into_outbox();
                let reply = handler.invoke(arguments).run().await.answer()?;
                outbox.sender().schemas().check_reply::<M>(&reply)?;
                let answer = to_raw_value(&reply).map_err(|error| Failure::new(Class::Reject, error))?;
                Ok(Handled {
                    answer: Some(answer),
                    outbox,
                })
            }
            .boxed()
        });
        let takes = vec![(M::TYPE, MessageManifest::request::<M>())];
        let carrier = Carrier::Request { kind: M::TYPE.kind };
        Self::new::<S, T>(M::TYPE.name, carrier, takes, layers, inner)
    }

    fn new<S, T>(
        name: &str,
        carrier: Carrier,
        takes: Vec<(MessageType, MessageManifest)>,
        layers: Layers,
        handler: Inner,
    ) -> Self
    where
        T: Arguments<S, Message: FromMessage>,
    {
        Self {
            name: name.into(),
            identity: name.into(),
            takes,
            filter: None,
            sends: T::sends(),
            concurrency: 64,
            carrier,
            layers,
            attempts: Attempts::unheard(),
            batches: false,
            schemas: None,
            json: AnyEvent::json,
            needs_envelope: T::Message::NEEDS_ENVELOPE,
            as_it_came: T::Message::AS_IT_CAME,
            handler,
        }
    }

    /// Whether it works durable commands.
    pub(crate) fn works_a_queue(&self) -> bool {
        let takes_commands = self
            .takes
            .iter()
            .any(|(contract, _)| contract.kind == Kind::Command);
        takes_commands && matches!(self.carrier, Carrier::Durable { .. })
    }

    /// Puts the layers around the handler, its own and then `outer`: once, where a runtime is there for those that
    /// need one.
    pub(crate) fn wrap(&mut self, outer: &Layers) {
        self.layers.extend(outer);
        self.handler = self.layers.wrap(self.handler.clone());
    }

    /// The message with its body as it was before it was compressed, or stored elsewhere, or else what comes of that. Nearly
    /// always it is as it came.
    pub(crate) async fn unpacked(&self, delivery: Delivery) -> Result<Delivery, Outcome> {
        if !self.unpacks(&delivery) {
            return Ok(delivery);
        }
        // Boxed: each message would hold the room for it.
        Box::pin(self.unpack(delivery)).await
    }

    /// Whether [`Route::unpacked`] has anything to do.
    pub(crate) fn unpacks(&self, delivery: &Delivery) -> bool {
        !self.as_it_came && delivery.is_packed()
    }

    async fn unpack(&self, delivery: Delivery) -> Result<Delivery, Outcome> {
        let attempted = self.attempts.begins(&delivery, Instant::now());
        let limit = match &self.carrier {
            Carrier::Durable(terms) => terms.time_limit,
            Carrier::Live { .. } | Carrier::Request { .. } => Duration::MAX,
        };
        let outcome = match timeout(limit, delivery.unpacked()).await {
            Ok(Ok(delivery)) => return Ok(delivery),
            Ok(Err(Unhandled::Failed(failure))) => Outcome::Failed(failure),
            Ok(Err(Unhandled::NotUnderstood(error))) => Outcome::NotUnderstood(error),
            Err(_) => Outcome::TimedOut(limit),
        };
        attempted.ends(&outcome, Instant::now());
        Err(outcome)
    }

    /// Handles one message and, where the handler succeeds, stores what it emitted. A panic ends the attempt and
    /// nothing else.
    pub(crate) async fn attempt(&self, delivery: Delivery) -> (Outcome, Answer) {
        let attempted = self.attempts.begins(&delivery, Instant::now());
        let (outcome, answer) = self.attempt_uncounted(delivery).await;
        attempted.ends(&outcome, Instant::now());
        (outcome, answer)
    }

    /// The same where nobody waits for an answer; an attempt that takes longer than `limit` is cut off. It begins now, and
    /// gives back when it ended: whoever has read the clock does not read it again.
    pub(crate) async fn attempt_within(
        &self,
        delivery: Delivery,
        now: Instant,
        limit: Duration,
    ) -> (Outcome, Instant) {
        let attempted = self.attempts.begins(&delivery, now);
        let mut attempt = pin!(self.attempt_uncounted(delivery));
        // Nearly all handlers that do not wait are done at the first look, and no timer is set for them.
        let ended = match poll_immediate(&mut attempt).await {
            Some(ended) => Ok(ended),
            None => timeout(limit.saturating_sub(now.elapsed()), attempt).await,
        };
        let outcome = match ended {
            Ok((outcome, _)) => outcome,
            Err(_) => Outcome::TimedOut(limit),
        };
        let ended = Instant::now();
        attempted.ends(&outcome, ended);
        (outcome, ended)
    }

    async fn attempt_uncounted(&self, delivery: Delivery) -> (Outcome, Answer) {
        if self.needs_envelope
            && let Err(error) = delivery.encoded()
        {
            return (Outcome::NotUnderstood(error), None);
        }
        let outbox = delivery.outbox.clone();
        let run = async {
            let Before::New(expected) = outbox.before().await? else {
                return Ok(None);
            };
            if let Some(schemas) = &self.schemas {
                schemas.check(delivery.encoded()?)?;
            }
            let handled = self.handler.handle(delivery).await;
            tracing::trace!(target: "tidewire::walk", "handled");
            let answer = of_this_message(handled?, &outbox)?;
            outbox.publish(expected).await?;
            Ok(answer)
        };
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(answer)) => (Outcome::Done, answer),
            Ok(Err(Unhandled::Failed(failure))) => (Outcome::Failed(failure), None),
            Ok(Err(Unhandled::NotUnderstood(error))) => (Outcome::NotUnderstood(error), None),
            Err(panic) => (Outcome::Panicked(panic_text(&*panic)), None),
        }
    }
}

/// A layer that kept what came of one message could let another one pass for handled.
fn of_this_message(handled: Handled, outbox: &Arc<Outbox>) -> Result<Answer, Failure> {
    if Arc::ptr_eq(&handled.outbox, outbox) {
        return Ok(handled.answer);
    }
    let text = "a layer gave what came of another message; a layer passes on what it was given";
    Err(Failure::new(Class::Retry(None), text))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}
