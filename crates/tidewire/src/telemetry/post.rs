//! The HTTP client of the exporter. It blocks, on the exporter's own thread.

use std::{env, future::Future, pin::Pin, sync::Arc, time::Duration};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// How long a collector may take for one export, unless the environment says otherwise.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// The most of an answer that is read.
const LIMIT: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Post(Agent);

impl Post {
    /// With the certificates that the system trusts.
    pub(super) fn new() -> Self {
        let trusted = rustls_native_certs::load_native_certs().certs;
        let certificates: Vec<_> = trusted
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(answered_within()))
            .build();
        Self(config.new_agent())
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let here = matches!(request.uri().host(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let request = request.map(Vec::from);
        let mut answer = if here {
            // A collector on this machine is never behind the proxy of the environment.
            let request = self.0.configure_request(request).proxy(None).build();
            self.0.run(request)?
        } else {
            self.0.run(request)?
        };
        let body = answer.body_mut().with_config().limit(LIMIT).read_to_vec()?;
        let (parts, _) = answer.into_parts();
        Ok(Response::from_parts(parts, body.into()))
    }
}

/// The shape that the trait has behind its macro.
type Answered<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Post {
    fn send_bytes<'this, 'answer>(&'this self, request: Request<Bytes>) -> Answered<'answer>
    where
        'this: 'answer,
        Self: 'answer,
    {
        Box::pin(async move { self.post(request) })
    }
}

fn answered_within() -> Duration {
    let set = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    let millis = set.iter().find_map(|name| env::var(name).ok()?.parse().ok());
    millis.map_or(ANSWERED_WITHIN, Duration::from_millis)
}
