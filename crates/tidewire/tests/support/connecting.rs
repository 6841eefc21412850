//! Connecting on a machine that may stand still for as long as one try takes.

use std::time::{Duration, Instant};

use tidewire::{Connect, ConnectError, Connection};

/// How long it is tried.
const WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Connects; a server that stands still for the three seconds of one try is tried again.
pub(crate) async fn connected(connect: Connect) -> Connection {
    answer_of(connect).await.unwrap()
}

/// What the server says to a client that connects.
pub(crate) async fn answer_of(connect: Connect) -> Result<Connection, ConnectError> {
    let deadline = Instant::now() + WITHIN;
    loop {
        // Boxed: the futures of the client are large.
        match Box::pin(connect.clone().connect()).await {
            Err(ConnectError::Unreachable { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
