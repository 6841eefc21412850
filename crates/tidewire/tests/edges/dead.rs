//! A client that has ended for good, which its own state does not say.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tidewire::{
    StopError,
    async_nats::{self, connection::State},
};
use tidewire_server::Server;

use crate::support::{PAYMENTS, Seen, connect_to, payments, publish_raw, role, shipping, soon, within};

/// A header whose value holds a bare carriage return kills the client's task.
fn publish_a_bare_carriage_return(port: u16) {
    let subject = "orders.payments.payment.processed.poison";
    publish_raw(port, subject, b"NATS/1.0\r\nx-note: a\rb\r\n\r\n", b"");
}

/// A plain client cannot be made anew: how it was made is not known.
#[tokio::test]
async fn a_service_whose_plain_client_has_died_says_so() {
    let server = Server::start().unwrap();
    let _payments = payments().start(connect_to(server.url()).await).await.unwrap();
    let nats = async_nats::connect(server.url()).await.unwrap();
    let shipping = shipping(&Seen::default()).start(nats.clone()).await.unwrap();
    publish_a_bare_carriage_return(server.port());
    let closed = soon(
        Duration::from_secs(10),
        "it is noticed",
        shipping.connection_closed(),
    )
    .await;
    assert!(closed.to_string().contains("restart the process"), "{closed}");
    assert_eq!(nats.connection_state(), State::Connected, "as it says itself");
    let stopped = soon(Duration::from_secs(10), "it stops", shipping.stop()).await;
    assert!(matches!(stopped, Err(StopError::Unconfirmed(_))), "{stopped:?}");
}

#[tokio::test]
async fn a_client_that_somebody_drained_is_noticed_too() {
    let server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    nats.client().drain().await.unwrap();
    soon(
        Duration::from_secs(10),
        "it is noticed",
        payments.connection_closed(),
    )
    .await;
}

/// Ends with the test, however the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `Service::run` returns: whoever watches over the process starts it again.
#[tokio::test]
async fn a_service_that_runs_ends_with_a_typed_error() {
    let server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    let _payments = payments().start(nats.clone()).await.unwrap();
    let process = Command::new(role())
        .arg("serve")
        .env("TIDEWIRE_TEST_URL", server.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut process = Process(process.unwrap());
    let stream = nats.jetstream().get_stream(PAYMENTS).await.unwrap();
    within(Duration::from_secs(10), "it pulls", async || {
        let info = stream.consumer_info("shipping__note").await;
        info.is_ok_and(|info| info.num_waiting > 0)
    })
    .await;
    // Its manifest is the last that a start writes.
    let js = nats.jetstream();
    within(Duration::from_secs(10), "it has started", async || {
        let manifests = js.get_key_value(tidewire::wire::MANIFESTS_BUCKET).await.unwrap();
        manifests.get("shipping").await.unwrap().is_some()
    })
    .await;
    publish_a_bare_carriage_return(server.port());
    let poisoned = Instant::now();
    within(Duration::from_secs(30), "it ends", async || {
        process.0.try_wait().unwrap().is_some()
    })
    .await;
    assert!(poisoned.elapsed() < Duration::from_secs(30));
    let mut said = String::new();
    let mut stdout = process.0.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("ends: the connection to NATS has ended for good"),
        "{said}"
    );
}
