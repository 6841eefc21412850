//! A shop of four services that have nothing in common but [subjects](messages): orders, inventory, payments and
//! notifications.
//!
//! ```text
//! PlaceOrder       ─▶ orders         emits OrderPlaced
//! OrderPlaced      ·▶ orders         asks ReserveItem
//! ReserveItem      ─▶ inventory      emits ItemReserved, or ItemRejected, which is an end
//! ItemReserved     ·▶ orders         emits PaymentRequested
//! PaymentRequested ·▶ payments       emits PaymentProcessed or PaymentFailed, which are ends
//! every end        ·▶ notifications  writes to the customer
//! GetOrder         ─▶ orders         answers how far the order is
//! ```
//!
//! Commands and queries (─▶) are asked and answered; events (·▶) are stored in JetStream and handled at least once. So
//! every effect here may be tried twice and happens once: each is keyed by the order or the payment that it is for.
//!
//! The gateway behind payments fails as gateways do, and [`payments`] says what follows from each of its failures.
//!
//! Read [`messages`] first, then [`orders`], [`inventory`], [`payments`] and [`notifications`]: a service is its
//! handlers, then the `service` function that declares them. [`load`] is the storefront that places orders, and
//! [`books`] the audit that everything has to survive. `src/bin` has a main for each service, ten lines long.

mod bucket;
mod telemetry;

pub mod books;
pub mod inventory;
pub mod load;
pub mod messages;
pub mod notifications;
pub mod orders;
pub mod payments;

use std::net::{AddrParseError, SocketAddr};

use tidewire::{Connect, ConnectError, Connection, Service};

pub use bucket::{Bucket, BucketError};
pub use telemetry::log_to_stderr;

/// The server that the services connect to: `$NATS_URL`, or the one on this machine.
pub fn nats_url() -> String {
    std::env::var("NATS_URL").unwrap_or_else(|_| "nats://localhost:4222".into())
}

/// Connects a service as the variables and contexts of the NATS tools say, `$NATS_URL` first of all, or to the server on
/// this machine. Answers come to an inbox prefix of its own, which no other service has to be allowed to hear.
///
/// # Errors
/// [`ConnectError`] says what to change.
pub async fn connect(service: &str) -> Result<Connection, ConnectError> {
    Connect::from_env()?.service(service).connect().await
}

/// How many servers keep each stream and bucket: `$SHOP_REPLICAS`, or 1. On a cluster, 3 outlive one of its servers.
pub fn replicas() -> usize {
    let given = std::env::var("SHOP_REPLICAS").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(1)
}

/// Serves metrics and health of `service` on `$SHOP_MONITOR`, such as `127.0.0.1:9464`; without the variable nobody listens.
///
/// # Errors
/// Where the variable holds no address.
pub fn monitored<S: Clone + Send + Sync + 'static>(
    service: Service<S>,
) -> Result<Service<S>, AddrParseError> {
    match std::env::var("SHOP_MONITOR") {
        Ok(address) => Ok(service.monitor(address.parse::<SocketAddr>()?)),
        Err(_) => Ok(service),
    }
}
