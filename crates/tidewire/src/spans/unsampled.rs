//! What belongs to a trace that is not sampled is left out before anything is written into a span, where nobody but the
//! exporter would read it.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::{Context, trace::TraceContextExt};
use tracing_core::{Kind, Level, Metadata, callsite::DefaultCallsite, metadata};

use super::HERE;

/// Whether it is.
static LEFT_OUT: AtomicBool = AtomicBool::new(false);

/// Stands for the spans of this crate: whoever listens to them listens to it. Asking for its interest is asking what is known
/// of all subscribers; `span_enabled!` would change what they do with the next span, where no span follows
/// (<https://github.com/tokio-rs/tracing/issues/2519>).
static ANYBODY: DefaultCallsite = DefaultCallsite::new(&ANYBODY_META);
static ANYBODY_META: Metadata<'static> = metadata! {
    name: "anybody",
    target: HERE,
    level: Level::INFO,
    fields: &[],
    callsite: &ANYBODY,
    kind: Kind::SPAN,
};

/// The same for whoever else listens: the exporter never does to this one.
static OTHERS: DefaultCallsite = DefaultCallsite::new(&OTHERS_META);
static OTHERS_META: Metadata<'static> = metadata! {
    name: "others",
    target: HERE,
    level: Level::INFO,
    fields: &[],
    callsite: &OTHERS,
    kind: Kind::SPAN,
};

/// Whether this is what the exporter must not listen to.
pub(crate) fn is_for_others(metadata: &Metadata<'_>) -> bool {
    metadata.callsite() == OTHERS_META.callsite()
}

/// From now on it is left out.
pub(crate) fn leave_out() {
    LEFT_OUT.store(true, Ordering::Relaxed);
}

/// Whether the exporter listens alone, and would not export what is not sampled. In doubt it does not.
pub(super) fn may_be_left_out() -> bool {
    LEFT_OUT.load(Ordering::Relaxed) && OTHERS.interest().is_never() && !ANYBODY.interest().is_never()
}

/// Whether this belongs to a trace of which is decided that nothing is exported.
pub(super) fn is_unsampled(context: &Context) -> bool {
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid() && !ids.is_sampled()
}
