//! The parts, one to a file; all of them end with the same books.

use std::time::Duration;

pub(crate) mod abort;
pub(crate) mod batch;
pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod deploys;
pub(crate) mod memory;
pub(crate) mod once;
pub(crate) mod ordered;
pub(crate) mod outage;
pub(crate) mod replay;
pub(crate) mod server;
pub(crate) mod stopped;
pub(crate) mod workers;

/// How long it may take until all is quiet after the last death: an election takes up to eight seconds, and what
/// failed meanwhile is tried again.
const QUIET_WITHIN: Duration = Duration::from_secs(90);
