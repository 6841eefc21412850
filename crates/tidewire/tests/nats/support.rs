//! What these tests share: one server for the process, messages, and waiting for a condition.

use std::{
    future::Future,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tidewire::async_nats::{Client, jetstream};
use tidewire_server::Server;

/// One server for all tests of this process; tests differ by the domains that they use.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start().expect("a nats-server"));

/// A connection of its own.
pub(crate) async fn connect() -> Client {
    tidewire::connect(SERVER.url()).await.expect("the server answers")
}

pub(crate) fn jetstream(client: &Client) -> jetstream::Context {
    jetstream::new(client.clone())
}

/// A name that no other test of this process has.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `condition` holds, for at most twenty seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
