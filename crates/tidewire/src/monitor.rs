//! Metrics and health over HTTP, on an address of their own.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    health::{Causes, Health, Report},
    metrics,
    start_error::StartError,
};

/// How long a request that is under way may take when the service has ended.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The listener of one service; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Monitor {
    address: SocketAddr,
    serving: JoinHandle<()>,
    closed: DropGuard,
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Asked {
    health: Health,
    figures: PrometheusHandle,
}

impl Monitor {
    /// Listens from now on: a service that still starts is alive, and not ready.
    pub(crate) async fn start(address: SocketAddr, health: Health) -> Result<Self, StartError> {
        let failed = |source| StartError::Monitor { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let figures = metrics::installed()?;
        let routes = Router::new()
            .route("/metrics", get(figures_of))
            .route("/livez", get(is_alive))
            .route("/readyz", get(is_ready))
            .with_state(Asked { health, figures });
        let closed = CancellationToken::new();
        let ended = closed.clone();
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(ended.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, %address, "metrics and health are not served any more");
            }
        });
        tracing::info!("metrics and health are on http://{address}/metrics, /livez and /readyz");
        Ok(Self {
            address,
            serving,
            closed: closed.drop_guard(),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns once nobody listens any more.
    pub(crate) async fn close(self) {
        drop(self.closed);
        let abort = self.serving.abort_handle();
        if timeout(CLOSED_WITHIN, self.serving).await.is_err() {
            // Somebody holds a connection open.
            abort.abort();
        }
    }
}

async fn figures_of(State(asked): State<Asked>) -> Response {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], asked.figures.render()).into_response()
}

/// Whether a restart would help.
async fn is_alive(State(asked): State<Asked>, headers: HeaderMap) -> Response {
    let Report { fatal, .. } = asked.health.report();
    answer(&headers, "alive", &fatal, &Causes::new())
}

/// Whether the service does its work, and what of it is held back.
async fn is_ready(State(asked): State<Asked>, headers: HeaderMap) -> Response {
    let Report { causes, degraded, .. } = asked.health.report();
    answer(&headers, "ready", &causes, &degraded)
}

/// `ready`, or `not ready` and why, a line for each cause; as JSON for who asks for it.
fn answer(headers: &HeaderMap, word: &str, causes: &Causes, degraded: &Causes) -> Response {
    let is_well = causes.is_empty();
    let status = if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("application/json")) {
        let body = json!({ word: is_well, "causes": causes, "degraded": degraded });
        let json = [(header::CONTENT_TYPE, "application/json")];
        return (status, json, body.to_string()).into_response();
    }
    let first = if is_well { "" } else { "not " };
    let causes = causes
        .iter()
        .map(|(name, what)| format!("{name}: {}\n", one_line(what)));
    let degraded = degraded
        .iter()
        .map(|(name, what)| format!("degraded: {name}: {}\n", one_line(what)));
    let lines = [format!("{first}{word}\n")]
        .into_iter()
        .chain(causes)
        .chain(degraded);
    (status, lines.collect::<String>()).into_response()
}

/// What a cause says in several lines is still one cause.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
