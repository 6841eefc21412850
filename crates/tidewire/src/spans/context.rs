//! Between spans and headers. Without the feature `otlp` no span has a context: headers go on as they came.

#[cfg(feature = "otlp")]
pub(crate) use with_otlp::*;
#[cfg(not(feature = "otlp"))]
pub(crate) use without::*;

#[cfg(feature = "otlp")]
mod with_otlp {
    use opentelemetry::{
        Context, KeyValue,
        propagation::{Extractor, Injector, TextMapPropagator},
        trace::TraceContextExt,
    };
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
    use tidewire_core::{TraceContext, wire};
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use crate::spans::unsampled::{is_unsampled, may_be_left_out};

    /// Headers, as OpenTelemetry reads and writes them.
    struct Headers<'a>(&'a TraceContext);

    struct Written<'a>(&'a mut TraceContext);

    impl Extractor for Headers<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            let mut headers = self.0.headers();
            headers.find(|(found, _)| *found == name).map(|(_, value)| value)
        }

        fn keys(&self) -> Vec<&str> {
            self.0.headers().map(|(name, _)| name).collect()
        }
    }

    impl Injector for Written<'_> {
        fn set(&mut self, name: &str, value: String) {
            let place = match name {
                wire::TRACEPARENT => &mut self.0.parent,
                wire::TRACESTATE => &mut self.0.state,
                wire::BAGGAGE => &mut self.0.baggage,
                _ => return,
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
    }

    fn read(headers: &TraceContext) -> Context {
        let sent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        BaggagePropagator::new().extract_with_context(&sent, &Headers(headers))
    }

    /// The context in which a message was sent, if its headers say one.
    pub(crate) type Sent = Option<Context>;

    pub(crate) fn sent(headers: &TraceContext) -> Sent {
        headers.headers().next().is_some().then(|| read(headers))
    }

    /// Whether nobody reads what is written of a message that was sent so.
    pub(crate) fn was_left_out(sent: &Sent) -> bool {
        sent.as_ref().is_some_and(is_unsampled) && may_be_left_out()
    }

    /// The context of what is done now, as headers, if nobody reads what is written of it.
    pub(crate) fn left_out() -> Option<TraceContext> {
        may_be_left_out()
            .then(|| Context::map_current(|around| is_unsampled(around).then(|| write(around))))
            .flatten()
    }

    /// The span's context as headers; `None` where no tracer listens to it.
    pub(crate) fn context(span: &Span) -> Option<TraceContext> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        context.span().span_context().is_valid().then(|| write(&context))
    }

    fn write(context: &Context) -> TraceContext {
        let mut headers = TraceContext::default();
        TraceContextPropagator::new().inject_context(context, &mut Written(&mut headers));
        BaggagePropagator::new().inject_context(context, &mut Written(&mut headers));
        headers
    }

    /// Makes the span a child of the context in which a message was sent, with its baggage.
    pub(crate) fn follow(span: &Span, sent: &Sent) {
        if let Some(sent) = sent
            && !span.is_disabled()
        {
            // Refused where no tracer listens, and then there is nothing to say.
            let _ = span.set_parent(sent.clone());
        }
    }

    /// Links to the context in which a message was sent, or handled; `what` says which. One that cannot be read is none.
    pub(crate) fn link(span: &Span, to: &Sent, what: &'static str, id: Option<&str>) {
        let Some(to) = to.as_ref().filter(|_| !span.is_disabled()) else {
            return;
        };
        let to = to.span().span_context().clone();
        if !to.is_valid() {
            return;
        }
        let id = id.map(|id| KeyValue::new("messaging.message.id", id.to_owned()));
        let attributes = [Some(KeyValue::new("tidewire.link", what)), id];
        span.add_link_with_attributes(to, attributes.into_iter().flatten().collect());
    }

    /// Records the span's ids as its fields, for the lines that are logged in it.
    pub(crate) fn show(span: &Span) {
        if span.is_disabled() {
            return;
        }
        let context = span.context();
        let ids = context.span().span_context().clone();
        if ids.is_valid() {
            span.record("trace_id", tracing::field::display(ids.trace_id()));
            span.record("span_id", tracing::field::display(ids.span_id()));
        }
    }
}

#[cfg(not(feature = "otlp"))]
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "called as those with the feature are"
)]
mod without {
    use std::convert::Infallible;

    use tidewire_core::TraceContext;
    use tracing::Span;

    pub(crate) type Sent = Option<Infallible>;

    pub(crate) fn sent(_: &TraceContext) -> Sent {
        None
    }

    pub(crate) fn was_left_out(_: &Sent) -> bool {
        false
    }

    pub(crate) fn left_out() -> Option<TraceContext> {
        None
    }

    pub(crate) fn context(_: &Span) -> Option<TraceContext> {
        None
    }

    pub(crate) fn follow(_: &Span, _: &Sent) {}

    pub(crate) fn link(_: &Span, _: &Sent, _: &'static str, _: Option<&str>) {}

    pub(crate) fn show(_: &Span) {}
}
