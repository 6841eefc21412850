//! A receiver of traces, as a collector is one: OTLP over HTTP, in protobuf.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;

/// What stands in the bodies of the events of `role.rs`.
const CANARY: &str = "canary-in-a-payload";

/// What it was given so far.
pub(crate) struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Seen>>>,
}

/// A span as a test looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The service of its resource.
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: Vec<u8>,
    pub(crate) state: String,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) links: Vec<Link>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) failed: bool,
    /// The names of its events, which are log lines.
    pub(crate) events: Vec<String>,
    /// All of it as it came.
    whole: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let spans = Arc::<Mutex<Vec<Seen>>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(spans.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, spans }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spans(&self) -> Vec<Seen> {
        let spans = self.spans.lock().unwrap().clone();
        for span in &spans {
            assert!(
                !span.whole.contains(CANARY),
                "a body is in a span: {}",
                span.whole
            );
        }
        spans
    }

    /// The spans with this name, in the order in which they ended.
    pub(crate) fn named(&self, name: &str) -> Vec<Seen> {
        let mut spans = self.spans();
        spans.retain(|span| span.name == name);
        spans
    }

    /// The one span with this name.
    pub(crate) fn one(&self, name: &str) -> Seen {
        let named = self.named(name);
        assert_eq!(named.len(), 1, "{name}: {:#?}", self.spans());
        named[0].clone()
    }
}

impl Seen {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether it links to this one, and says so as `what`.
    pub(crate) fn links_to(&self, other: &Self, what: &str) -> bool {
        self.links.iter().any(|link| {
            link.id == other.id
                && link.trace == other.trace
                && link.attributes.get("tidewire.link").map(String::as_str) == Some(what)
        })
    }
}

async fn receive(State(spans): State<Arc<Mutex<Vec<Seen>>>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let about = map(resource.resource.unwrap().attributes);
        let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans
            .lock()
            .unwrap()
            .extend(all.map(|span| seen(&about["service.name"], span)));
    }
}

fn seen(service: &str, span: Span) -> Seen {
    Seen {
        whole: format!("{span:?}"),
        service: service.to_owned(),
        kind: span.kind(),
        failed: span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == StatusCode::Error),
        name: span.name,
        trace: span.trace_id,
        state: span.trace_state,
        id: span.span_id,
        parent: span.parent_span_id,
        links: span.links.into_iter().map(Link::from).collect(),
        attributes: map(span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
    }
}

impl From<opentelemetry_proto::tonic::trace::v1::span::Link> for Link {
    fn from(link: opentelemetry_proto::tonic::trace::v1::span::Link) -> Self {
        Self {
            trace: link.trace_id,
            id: link.span_id,
            attributes: map(link.attributes),
        }
    }
}

fn map(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let one = |pair: KeyValue| (pair.key, pair.value.map(text).unwrap_or_default());
    attributes.into_iter().map(one).collect()
}

/// An id as it is written in headers and logs.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// A number is told from its text: `42` and not `"42"`.
fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => format!("#{number}"),
        other => format!("{other:?}"),
    }
}
