//! A server that speaks TLS before anything else.

use serde_json::json;
use tidewire::{Connect, ConnectError};

use crate::{
    contexts::what_a_context_says,
    support::{COMES_WITHIN, Certificates, Reloadable, soon},
};

#[tokio::test]
async fn a_context_with_tls_first_connects_and_no_other_does() {
    let certificates = Certificates::new();
    let plain = certificates.config(false);
    // With a greeting first, or it is not seen that the server is there.
    let nats = Reloadable::start(&plain);
    let first = plain.replacen("tls {", "tls { handshake_first: true, ", 1);
    nats.reload(&first).await;
    let authority = certificates.file("authority.pem");
    let context = json!({ "url": nats.server.url(), "ca": authority, "tls_first": true });
    let said = what_a_context_says(&context, &[]);
    assert!(said.contains("works with"), "{said}");
    let mut late = context;
    late["tls_first"] = json!(false);
    let said = what_a_context_says(&late, &[]);
    assert!(
        said.starts_with("fails: ") && said.contains("is a nats-server running there?"),
        "{said}"
    );
    let connect = Connect::to(nats.server.url()).root_certificates(&authority);
    // A try takes up to three seconds.
    let refused = soon(COMES_WITHIN, "it fails", Box::pin(connect.connect())).await;
    assert!(
        matches!(&refused, Err(ConnectError::Unreachable { .. })),
        "{refused:?}"
    );
}
