//! Tower layers around handlers: a layer may wrap, delay or refuse, and settles nothing.
//!
//! ```
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! use tidewire::{layered, prelude::*};
//! use tower::{limit::ConcurrencyLimitLayer, timeout::TimeoutLayer};
//!
//! # #[derive(Event, Serialize, Deserialize, JsonSchema)]
//! # #[event(subject = "orders.payments.payment.processed")]
//! # struct PaymentProcessed {}
//! # #[derive(Command, Serialize, Deserialize, JsonSchema)]
//! # #[command(subject = "orders.shipping.parcel.book")]
//! # struct BookParcel {}
//! # async fn ship(_: Event<PaymentProcessed>) {}
//! # async fn book(_: Command<BookParcel>) {}
//! let service = Service::new("shipping", "1.0.0")
//!     .on(durable("ship", ship).layer(ConcurrencyLimitLayer::new(4))) // this handler
//!     .command(layered(book, ConcurrencyLimitLayer::new(4))) // this handler
//!     .layer(TimeoutLayer::new(Duration::from_secs(10))); // every handler, outside the handlers' own
//! # drop(service);
//! ```
//!
//! What a layer wraps is [`Inner`], a tower service from a [`Delivery`] to [`Handled`]. The last layer that was given is
//! the outermost, and a service's layers are outside those of its handlers. Each handler has a service of its own: a
//! `ConcurrencyLimitLayer` on a [`Service`](crate::Service) limits each handler apart, and a
//! `GlobalConcurrencyLimitLayer` all of them together.
//!
//! - **Refusing.** An error of the layer's own, such as `Elapsed`, fails the attempt as a handler's `?` does: it is made
//!   again later, and a caller hears `retryable: true`. A layer that means something else gives an [`Unhandled`] made of a
//!   [`Failure`].
//! - **Passing on.** A failure of the handler keeps its class on its way out, also inside an error that has it as its
//!   source.
//! - **Settling.** [`Handled`] comes from the handler of this message and from nowhere else, and what it emitted is stored
//!   after the outermost layer. A message that no layer let through is not acked, unless it was declined.
//! - **Waiting.** A message that waits in a layer takes one of the handler's places (`.concurrency(…)`) and is kept in
//!   progress meanwhile.
//!
//! A message that cannot be read at all is refused before any layer. A [`Delivery`] cannot be cloned, so that no layer
//! handles it twice: the broker's redelivery is the one retry. A service that is not `Clone`, such as that of
//! `RateLimitLayer`, goes into a `BufferLayer`.

mod inner;
mod layered;

use std::{any::type_name, fmt, future::poll_fn, sync::Arc};

use futures_util::FutureExt;
use tidewire_core::{BoxError, Class, Failure};

pub use self::{
    inner::{Handled, Inner, Unhandled},
    layered::{Layered, layered},
};
pub use crate::delivery::Delivery;
pub use tower_layer::{Layer, layer_fn};
pub use tower_service::Service;

/// A [`Layer`] that fits around handlers: of [`Inner`] it makes a service that is [`Clone`] and answers [`Handled`].
///
/// Every such layer is one; nobody implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer that fits around a handler",
    label = "not a layer of handlers",
    note = "a layer implements `tower_layer::Layer<Inner>`, and its service is `Clone + Send + Sync` and answers `Handled` to a `Delivery`",
    note = "one whose service is not `Clone`, such as `RateLimitLayer`, goes into a buffer: `.layer((BufferLayer::new(8), it))`"
)]
pub trait HandlerLayer: Send + Sync + 'static {
    /// Puts the layer around a handler.
    #[doc(hidden)]
    fn wrap(&self, inner: Inner) -> Inner;
}

#[diagnostic::do_not_recommend]
impl<L> HandlerLayer for L
where
    L: Layer<Inner> + Send + Sync + 'static,
    L::Service: Service<Delivery, Response = Handled, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn wrap(&self, inner: Inner) -> Inner {
        let service = self.layer(inner);
        Inner::new(move |delivery| {
            let mut service = service.clone();
            async move {
                poll_fn(|context| service.poll_ready(context))
                    .await
                    .map_err(unhandled)?;
                service.call(delivery).await.map_err(unhandled)
            }
            .boxed()
        })
    }
}

/// What a layer's error means: ours what it says, any other that trying again may help.
fn unhandled(error: impl Into<BoxError>) -> Unhandled {
    match error.into().downcast::<Unhandled>() {
        Ok(ours) => *ours,
        Err(foreign) => {
            let mut source = foreign.source();
            let class = loop {
                match source {
                    Some(error) => match error.downcast_ref::<Unhandled>() {
                        Some(ours) => break ours.class(),
                        None => source = error.source(),
                    },
                    None => break Class::Retry(None),
                }
            };
            Failure::new(class, foreign).into()
        }
    }
}

/// Layers by name, from the innermost to the outermost.
#[derive(Clone, Default)]
#[doc(hidden)]
pub struct Layers(Vec<(String, Arc<dyn HandlerLayer>)>);

impl Layers {
    pub(crate) fn push<L: HandlerLayer>(&mut self, layer: L) {
        self.0.push((without_paths(type_name::<L>()), Arc::new(layer)));
    }

    pub(crate) fn extend(&mut self, outer: &Self) {
        self.0.extend(outer.0.iter().cloned());
    }

    pub(crate) fn wrap(&self, inner: Inner) -> Inner {
        self.0.iter().fold(inner, |inner, (_, layer)| layer.wrap(inner))
    }

    /// The names of the layers, in the order in which a message meets them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().rev().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// `tower::timeout::TimeoutLayer` is `TimeoutLayer`, in brackets too.
fn without_paths(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

#[cfg(test)]
mod tests {
    use std::io;

    use tidewire_core::{DecodeError, OrFail};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("in the layer")]
    struct Wrapped(#[source] Unhandled);

    fn class(error: impl Into<BoxError>) -> Class {
        unhandled(error).class()
    }

    #[test]
    fn a_foreign_error_means_try_again_and_ours_what_it_says() {
        let ours = || Unhandled::from(Failure::decline("sold_out", "no more"));
        assert_eq!(class(io::Error::other("elapsed")), Class::Retry(None));
        assert_eq!(class(ours()), Class::Decline("sold_out"));
        assert_eq!(class(Box::new(ours()) as BoxError), Class::Decline("sold_out"));
        assert_eq!(class(Wrapped(ours())), Class::Decline("sold_out"));
        let refused = Err::<(), _>("no").or_reject().unwrap_err();
        assert_eq!(class(io::Error::other(Wrapped(refused.into()))), Class::Reject);
        let error = unhandled(Unhandled::NotUnderstood(DecodeError::EmptyId));
        assert!(matches!(error, Unhandled::NotUnderstood(DecodeError::EmptyId)));
    }

    #[test]
    fn the_cause_is_the_layers_error() {
        let Unhandled::Failed(failure) = unhandled(io::Error::other("elapsed")) else {
            panic!("it failed");
        };
        assert!(failure.cause().is::<io::Error>());
    }

    #[test]
    fn names_are_without_paths() {
        for (long, short) in [
            ("tower::timeout::layer::TimeoutLayer", "TimeoutLayer"),
            ("(a::B, c::d::E<f::G>)", "(B, E<G>)"),
            (
                "tower_layer::LayerFn<shop::main::{{closure}}>",
                "LayerFn<{{closure}}>",
            ),
        ] {
            assert_eq!(without_paths(long), short);
        }
    }
}
