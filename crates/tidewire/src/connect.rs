//! Connecting to a server.

use std::time::Duration;

use async_nats::{Client, ConnectOptions};

/// How often the connection is probed; the client gives a connection up at the third probe without an answer.
const PING: Duration = Duration::from_secs(10);

/// A server that could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {source}; is a nats-server running there?")]
pub struct ConnectError {
    address: String,
    source: async_nats::ConnectError,
}

/// Connects to `address`, such as `nats://localhost:4222`, or several with commas between them.
///
/// For credentials, TLS and the rest, connect with [`async_nats::ConnectOptions`]: a service runs on any client.
///
/// # Errors
/// [`ConnectError`] where nothing answers there.
pub async fn connect(address: impl AsRef<str>) -> Result<Client, ConnectError> {
    let address = address.as_ref();
    let servers: Vec<&str> = address.split(',').map(str::trim).collect();
    let options = ConnectOptions::new().ping_interval(PING).name("tidewire");
    options.connect(servers).await.map_err(|source| ConnectError {
        address: address.into(),
        source,
    })
}
