//! Instances that die.

use std::net::SocketAddr;

use tidewire::{Connect, Running, prelude::*};
use tidewire_server::Server;
use tokio::runtime::Runtime;

use super::connected;

/// An instance with a runtime of its own, with which it can die: it says nothing to the server any more.
pub(crate) struct Mortal {
    runtime: Runtime,
    running: Running,
}

impl Mortal {
    pub(crate) async fn start<S: Clone + Send + Sync + 'static>(
        server: &Server,
        service: Service<S>,
    ) -> Self {
        let runtime = Runtime::new().unwrap();
        let connecting = connected(Connect::to(server.url()));
        let nats = runtime.spawn(connecting).await.unwrap();
        let running = runtime.spawn(service.start(nats)).await.unwrap().unwrap();
        Self { runtime, running }
    }

    pub(crate) fn monitor(&self) -> SocketAddr {
        self.running.monitor_address().unwrap()
    }

    pub(crate) fn dies(self) {
        self.runtime.shutdown_background();
        std::mem::forget(self.running);
    }
}
