//! A handler with a layer of its own.

use std::{fmt, sync::Arc};

use super::{HandlerLayer, Layers};
use crate::handler::Handler;

/// A handler with a layer around it; made by [`layered`].
#[derive(Clone)]
pub struct Layered<H> {
    handler: H,
    /// Shared, because a handler is cloned for each message.
    layers: Arc<Layers>,
}

/// Puts `layer` around one handler: `.command(layered(handler, layer))`, and the same for a query. For events
/// `durable(…)` and `live(…)` have a method `.layer(…)` that says it shorter.
///
/// Several layers are one as a tuple, whose first is the outermost.
pub fn layered<H>(handler: H, layer: impl HandlerLayer) -> Layered<H> {
    let mut layers = Layers::default();
    layers.push(layer);
    let layers = Arc::new(layers);
    Layered { handler, layers }
}

impl<H: Handler<T>, T> Handler<T> for Layered<H> {
    type Future = H::Future;

    fn invoke(self, arguments: T) -> H::Future {
        self.handler.invoke(arguments)
    }

    fn layers(&self) -> Layers {
        let mut layers = self.handler.layers();
        layers.extend(&self.layers);
        layers
    }
}

impl<H> fmt::Debug for Layered<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered")
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}
