//! Logs to standard error, and traces where somebody wants them.

use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing_subscriber::{
    Layer,
    filter::{EnvFilter, LevelFilter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Logs to standard error; `$RUST_LOG` chooses what, such as `debug` or `tidewire=debug`.
///
/// With the feature `otlp` and `$OTEL_EXPORTER_OTLP_ENDPOINT` it exports traces too, until what it gives back is dropped.
#[must_use = "dropped, it ends the export of traces"]
pub fn log_to_stderr(service: &str) -> impl Sized + use<> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_filter(filter.from_env_lossy());
    export(tracing_subscriber::registry().with(logs), service)
}

#[cfg(feature = "otlp")]
fn export(
    logs: impl Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    service: &str,
) -> Option<tidewire::telemetry::Flush> {
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
        logs.init();
        return None;
    }
    match tidewire::telemetry::otlp(service) {
        Ok((traces, flush)) => {
            logs.with(traces).init();
            Some(flush)
        }
        Err(error) => {
            logs.init();
            tracing::warn!(%error, "there are no traces");
            None
        }
    }
}

#[cfg(not(feature = "otlp"))]
fn export(
    logs: impl Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    _: &str,
) -> Option<std::convert::Infallible> {
    logs.init();
    None
}
