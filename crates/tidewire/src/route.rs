//! A handler without its types: what it takes, what it sends, and how to call it.

use std::{any::Any, fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use serde_json::value::{RawValue, to_raw_value};
use tidewire_core::{Class, Failure, Kind, MessageManifest, MessageType, Outcome, RequestMessage, Start};

use crate::{
    extract::{Delivery, Extracted, FromMessage, Sends},
    handler::{Arguments, Handler, HandlerFuture},
    returns::{Answers, Settles},
};

/// What a handler answered, as JSON text; `None` for events.
pub(crate) type Answer = Option<Box<RawValue>>;

type Call = dyn Fn(Delivery) -> BoxFuture<'static, Result<Result<Answer, Failure>, Extracted>> + Send + Sync;

/// One handler of a service.
#[derive(Clone)]
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
    call: Arc<Call>,
}

/// What brings messages to a handler.
#[derive(Clone, Debug)]
pub(crate) enum Carrier {
    Durable { start: Start },
    Live { queue_group: Option<String> },
    Request { kind: Kind },
}

impl Route {
    /// A handler of events.
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
        let state = state.clone();
        let call = move |delivery: Delivery| {
            let (handler, state) = (handler.clone(), state.clone());
            async move {
                let arguments = T::extract(&delivery, &state)?;
                Ok(handler.invoke(arguments).run().await.settle().map(|()| None))
            }
            .boxed()
        };
        Self::new(name, carrier, takes, T::sends(), Arc::new(call))
    }

    /// A handler that answers `M`.
    pub(crate) fn of_requests<S, M, H, T>(handler: H, state: &S) -> Self
    where
        S: Clone + Send + Sync + 'static,
        M: RequestMessage,
        H: Handler<T, Future: HandlerFuture<Output: Answers<M::Reply>> + Send>,
        T: Arguments<S, Message: FromMessage>,
    {
        let state = state.clone();
        let call = move |delivery: Delivery| {
            let (handler, state) = (handler.clone(), state.clone());
            async move {
                let arguments = T::extract(&delivery, &state)?;
                let answer = handler.invoke(arguments).run().await.answer();
                Ok(answer.and_then(|reply| {
                    to_raw_value(&reply)
                        .map(Some)
                        .map_err(|error| Failure::new(Class::Reject, error))
                }))
            }
            .boxed()
        };
        let takes = vec![(M::TYPE, MessageManifest::request::<M>())];
        let carrier = Carrier::Request { kind: M::TYPE.kind };
        Self::new(M::TYPE.name, carrier, takes, T::sends(), Arc::new(call))
    }

    fn new(
        name: &str,
        carrier: Carrier,
        takes: Vec<(MessageType, MessageManifest)>,
        sends: Sends,
        call: Arc<Call>,
    ) -> Self {
        Self {
            name: name.into(),
            identity: name.into(),
            takes,
            filter: None,
            sends,
            concurrency: 64,
            carrier,
            call,
        }
    }

    /// Handles one message and, where the handler succeeds, stores what it emitted. A panic ends the attempt and
    /// nothing else.
    pub(crate) async fn attempt(&self, delivery: Delivery) -> (Outcome, Answer) {
        let outbox = delivery.outbox.clone();
        let run = async {
            let called = (self.call)(delivery).await;
            tracing::trace!(target: "tidewire::walk", "handled");
            match called {
                Ok(Ok(answer)) => match outbox.publish().await {
                    Ok(()) => (Outcome::Done, answer),
                    Err(failure) => (Outcome::Failed(failure), None),
                },
                Ok(Err(failure)) | Err(Extracted::Failed(failure)) => (Outcome::Failed(failure), None),
                Err(Extracted::NotUnderstood(error)) => (Outcome::NotUnderstood(error), None),
            }
        };
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(done) => done,
            Err(panic) => (Outcome::Panicked(panic_text(&*panic)), None),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("name", &self.name)
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}
