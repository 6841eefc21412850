//! W3C trace context, carried from a message to what follows from it.

use crate::wire;

/// The W3C trace headers of a message; absent ones are not made up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent`: trace id, parent span and flags.
    pub parent: Option<String>,
    /// `tracestate`: what tracing systems add.
    pub state: Option<String>,
    /// `baggage`: the user's own entries.
    pub baggage: Option<String>,
}

impl TraceContext {
    /// The headers that are there, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            (wire::TRACEPARENT, &self.parent),
            (wire::TRACESTATE, &self.state),
            (wire::BAGGAGE, &self.baggage),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
    }
}
