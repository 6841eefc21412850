//! Spans of what is sent and of what is handled, by OpenTelemetry's conventions for messaging.
//!
//! A span has the fields of the conventions whoever listens, and costs next to nothing where nobody does, or where only an
//! exporter does that leaves its trace out. With the feature `otlp` it has a context too, which goes into the headers of what
//! it sends and comes from those of what it handles.

mod context;
#[cfg(feature = "otlp")]
mod unsampled;

use std::{borrow::Cow, sync::Arc};

use tidewire_core::{Outgoing, Subject, TraceContext, wire};
use tracing::{Level, Span, field::Empty};

pub(crate) use self::context::context;
#[cfg(feature = "otlp")]
pub(crate) use self::unsampled::{is_for_others, leave_out};
use crate::{
    delivery::Delivery,
    input::Input,
    outbox::Outbox,
    route::{Carrier, Route},
};

/// What the spans of this crate say of where they are.
#[cfg(feature = "otlp")]
const HERE: &str = module_path!();

/// A message on its way to a stream: whoever handles it is its child. With the context for its headers, if there is one.
pub(crate) fn send(outgoing: &Outgoing) -> (Span, Option<TraceContext>) {
    sending(outgoing, "send", "producer")
}

/// A command or a query until its answer is there.
pub(crate) fn request(outgoing: &Outgoing) -> (Span, Option<TraceContext>) {
    sending(outgoing, "request", "client")
}

fn sending(outgoing: &Outgoing, operation: &str, kind: &str) -> (Span, Option<TraceContext>) {
    if let Some(left_out) = context::left_out() {
        return (Span::none(), Some(left_out));
    }
    let name = outgoing.subject.name().as_str();
    let conversation = || {
        let mut headers = outgoing.headers.iter();
        let found = headers.find(|(name, _)| name == wire::TW_CORRELATION_ID);
        found.map(|(_, id)| id.as_str())
    };
    let span = tracing::info_span!(
        "send",
        otel.name = exported(format_args!("{operation} {name}")),
        otel.kind = exported(kind),
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = exported("nats"),
        messaging.operation.name = exported(operation),
        messaging.operation.type = exported("send"),
        messaging.destination.name = name,
        messaging.message.id = outgoing.id.as_str(),
        messaging.message.conversation_id = conversation(),
        messaging.message.body.size = exported(number(outgoing.body.len())),
        tidewire.message.key = key(&outgoing.subject),
    );
    let context = context(&span);
    (span, context)
}

/// One attempt to handle a message; `failed_before` is the `traceparent` of the attempt before it.
///
/// A batch has a span of its own, by [`batch`], and its messages have none.
pub(crate) fn process(delivery: &Delivery, route: &Route, failed_before: Option<&str>) -> Span {
    if route.batches || !tracing::span_enabled!(Level::INFO) {
        return Span::none();
    }
    let sent = context::sent(delivery.outbox.trace());
    if context::was_left_out(&sent) {
        // For what is done in it, which is left out by it.
        let span = tracing::info_span!("process");
        context::follow(&span, &sent);
        return span;
    }
    let (kind, group) = match &route.carrier {
        Carrier::Durable(_) => ("consumer", Some(delivery.handler())),
        Carrier::Live { queue_group } => ("consumer", queue_group.as_deref()),
        Carrier::Request { .. } => ("server", None),
    };
    let input = delivery.outbox.input();
    let parsed = match input {
        Input::Envelope(envelope) => Some(envelope.subject.clone()),
        // Another program's subject may end in anything; the filter of its handler does not.
        Input::Foreign { .. } if route.filter.is_some() => None,
        Input::Foreign { .. } => Subject::parse(delivery.subject()).ok(),
    };
    let name = parsed.as_ref().map(|subject| subject.name().as_str());
    let template = route.filter.as_deref().filter(|_| name.is_none());
    let span = tracing::info_span!(
        "process",
        otel.name = exported(titled("process", name.or(template))),
        otel.kind = exported(kind),
        otel.status_code = Empty,
        error.type = Empty,
        trace_id = Empty,
        span_id = Empty,
        messaging.system = exported("nats"),
        messaging.operation.name = exported("process"),
        messaging.operation.type = exported("process"),
        messaging.destination.name = name,
        messaging.destination.template = template,
        messaging.consumer.group.name = group,
        messaging.message.id = input.id().as_str(),
        messaging.message.conversation_id = input.correlation_id(),
        messaging.message.body.size = exported(number(delivery.payload().len())),
        tidewire.message.key = parsed.as_ref().and_then(key),
        tidewire.attempt = i64::from(delivery.attempt()),
    );
    context::follow(&span, &sent);
    if kind == "consumer" {
        context::link(&span, &sent, "creation", None);
    }
    if failed_before.is_some() {
        let failed = TraceContext {
            parent: failed_before.map(str::to_owned),
            ..TraceContext::default()
        };
        context::link(&span, &context::sent(&failed), "failed_attempt", None);
    }
    context::show(&span);
    span
}

/// One call for several messages. It is the child of none of them.
pub(crate) fn batch(messages: &[Arc<Outbox>]) -> Span {
    if !tracing::span_enabled!(Level::INFO) {
        return Span::none();
    }
    let name = |message: &Arc<Outbox>| match message.input() {
        Input::Envelope(envelope) => Some(envelope.subject.name().as_str().to_owned()),
        Input::Foreign { .. } => None,
    };
    let mut names = messages.iter().map(name);
    let first = names.next().flatten();
    // Of several names none is that of the batch.
    let name = first.filter(|first| names.all(|name| name.as_ref() == Some(first)));
    let span = tracing::info_span!(
        "process",
        otel.name = exported(titled("process", name.as_deref())),
        otel.kind = exported("consumer"),
        otel.status_code = Empty,
        error.type = Empty,
        trace_id = Empty,
        span_id = Empty,
        messaging.system = exported("nats"),
        messaging.operation.name = exported("process"),
        messaging.operation.type = exported("process"),
        messaging.destination.name = name,
        messaging.consumer.group.name = messages.first().map(|message| &**message.handler()),
        messaging.batch.message_count = number(messages.len()),
    );
    for message in messages {
        let id = message.input().id().as_str();
        context::link(&span, &context::sent(message.trace()), "creation", Some(id));
    }
    context::show(&span);
    span
}

/// Says how it ended: with an error of this class, or well.
pub(crate) fn ended(span: &Span, error: Option<&str>) {
    if let Some(class) = exported(error).flatten() {
        span.record("error.type", class);
        span.record("otel.status_code", "error");
    }
}

/// The headers of a message, with the context of the span that sends it in the place of the one that it carries on.
pub(crate) fn headers<'a>(
    outgoing: &'a Outgoing,
    ours: Option<&'a TraceContext>,
) -> impl Iterator<Item = (Cow<'static, str>, &'a str)> {
    let replaced = move |name: &str| {
        ours.is_some_and(|ours| match name {
            wire::TRACEPARENT | wire::TRACESTATE => true,
            wire::BAGGAGE => ours.baggage.is_some(),
            _ => false,
        })
    };
    let carried = outgoing.headers.iter();
    let carried = carried.map(|(name, value)| (name.clone(), value.as_str()));
    let ours = ours.into_iter().flat_map(TraceContext::headers);
    let ours = ours.map(|(name, value)| (Cow::Borrowed(name), value));
    carried.filter(move |(name, _)| !replaced(name)).chain(ours)
}

/// What says nothing to the reader of a log: without the export it would make each line longer, and each message dearer.
fn exported<T>(value: T) -> Option<T> {
    cfg!(feature = "otlp").then_some(value)
}

fn titled(operation: &str, destination: Option<&str>) -> String {
    destination.map_or_else(
        || operation.to_owned(),
        |destination| format!("{operation} {destination}"),
    )
}

fn key(subject: &Subject) -> Option<String> {
    Some(subject.key()?.text().into_owned())
}

/// As OpenTelemetry has numbers: an unsigned one would become text.
fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
