//! A handler as its layers see it.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tidewire_core::{Class, DecodeError, Failure};

use crate::{delivery::Delivery, outbox::Outbox, route::Answer};

/// A handler, and the layers around it that were given before: the tower service that a layer wraps.
#[derive(Clone)]
pub struct Inner(Arc<Call>);

type Call = dyn Fn(Delivery) -> BoxFuture<'static, Result<Handled, Unhandled>> + Send + Sync;

/// That a handler has handled its message, and what it answered.
///
/// Only the handler makes one, and it counts for the message that the handler was given.
pub struct Handled {
    pub(crate) answer: Answer,
    pub(crate) outbox: Arc<Outbox>,
}

/// Why a message was not handled.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unhandled {
    /// The message is not what the handler takes.
    NotUnderstood(DecodeError),
    /// The handler, an extractor or a layer failed.
    Failed(Failure),
}

impl Inner {
    pub(crate) fn new(
        call: impl Fn(Delivery) -> BoxFuture<'static, Result<Handled, Unhandled>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn handle(&self, delivery: Delivery) -> BoxFuture<'static, Result<Handled, Unhandled>> {
        (self.0)(delivery)
    }
}

impl tower_service::Service<Delivery> for Inner {
    type Response = Handled;
    type Error = Unhandled;
    type Future = BoxFuture<'static, Result<Handled, Unhandled>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unhandled>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        self.handle(delivery)
    }
}

impl Unhandled {
    /// What should follow.
    pub fn class(&self) -> Class {
        match self {
            Self::NotUnderstood(_) => Class::Reject,
            Self::Failed(failure) => failure.class().clone(),
        }
    }
}

impl From<DecodeError> for Unhandled {
    fn from(error: DecodeError) -> Self {
        Self::NotUnderstood(error)
    }
}

impl From<Failure> for Unhandled {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// With the chain of causes, as a [`Failure`] shows it; there is no source beside it.
impl fmt::Display for Unhandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnderstood(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Unhandled {}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

/// Without the answer: it may be anything, and layers are where people log.
impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled").finish_non_exhaustive()
    }
}
