//! Connecting on a machine that may stand still for as long as one try takes.

use std::time::Duration;

use tidewire::{ConnectError, Connection};
use tokio::time::{Instant, sleep};

/// How long it is tried.
const WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Connects; a server that stands still for the three seconds of one try is tried again.
pub(crate) async fn connected(url: &str) -> Result<Connection, ConnectError> {
    let deadline = Instant::now() + WITHIN;
    loop {
        match tidewire::connect(url).await {
            Err(ConnectError::Unreachable { .. }) if Instant::now() < deadline => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}
