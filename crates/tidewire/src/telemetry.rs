//! Traces to a collector, by OTLP.
//!
//! ```no_run
//! use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (traces, _flush) = tidewire::telemetry::otlp("orders")?;
//! tracing_subscriber::registry()
//!     .with(tracing_subscriber::fmt::layer())
//!     .with(traces)
//!     .init();
//! // … and `_flush` lives to the end of `main`.
//! # Ok(())
//! # }
//! ```

mod post;

use std::time::Duration;

use opentelemetry::{Key, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, ResourceDetector},
    trace::SdkTracerProvider,
};
use tidewire_core::BoxError;
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::spans;

/// How long the end of a process may wait for its last traces.
const FLUSHED_WITHIN: Duration = Duration::from_secs(5);

/// Keeps the export going. Dropped, it exports what is left, for up to five seconds, and ends it.
#[derive(Debug)]
#[must_use = "dropped, it ends the export of traces; keep it to the end of `main`"]
pub struct Flush(SdkTracerProvider);

/// Traces that cannot be exported, because a setting is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// One of the variables `OTEL_EXPORTER_OTLP_…` says something that cannot be.
    #[error("traces cannot be exported: {source}; mend or unset the variable `OTEL_EXPORTER_OTLP_…`")]
    Setting {
        /// What is wrong.
        #[source]
        source: BoxError,
    },
}

/// A layer for a subscriber, which exports the spans at `INFO` and above by OTLP over HTTP, in protobuf, and the guard that
/// flushes at the end.
///
/// The environment says where to, as it does for every program with OpenTelemetry: `OTEL_EXPORTER_OTLP_ENDPOINT` (by default
/// `http://localhost:4318`), `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_TRACES_SAMPLER`,
/// `OTEL_BSP_SCHEDULE_DELAY` and their like. `OTEL_SERVICE_NAME`, and a `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, count
/// before `service_name`.
///
/// A collector that is down or slow holds nothing up: spans are exported on a thread of their own, and those that find its
/// queue full are dropped. The log says so, with `opentelemetry_sdk` as the target.
///
/// # Errors
/// [`OtlpError`] where a setting is wrong. That the collector is down is no error.
pub fn otlp<S>(service_name: &str) -> Result<(impl Layer<S> + Send + Sync + use<S>, Flush), OtlpError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(post::Post::new())
        .build()
        .map_err(|error| OtlpError::Setting { source: error.into() })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(service_name))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tidewire"))
        // Where in a source a span was begun, and on which thread, says nothing of a message.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_exported).with_max_level_hint(LevelFilter::INFO));
    if parents_decide() {
        spans::leave_out();
    }
    Ok((layer, Flush(provider)))
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && !spans::is_for_others(metadata)
}

/// Whether no span is sampled whose parent is not, by the sampler that the environment names. Names other than these are of
/// samplers that do so, or are replaced by one.
fn parents_decide() -> bool {
    let sampler = std::env::var("OTEL_TRACES_SAMPLER");
    !matches!(sampler.as_deref(), Ok("always_on" | "traceidratio"))
}

fn resource(service_name: &str) -> Resource {
    let named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || EnvResourceDetector::new()
            .detect()
            .get(&Key::from_static_str("service.name"))
            .is_some();
    let builder = Resource::builder();
    if named {
        builder.build()
    } else {
        builder.with_service_name(service_name.to_owned()).build()
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSHED_WITHIN) {
            tracing::warn!(%error, "the last traces are not exported");
        }
    }
}
