//! What must hold, one scenario to a file.

pub(crate) mod cloud_events;
pub(crate) mod consume;
pub(crate) mod discover;
pub(crate) mod metrics;
pub(crate) mod old_servers;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod request;
