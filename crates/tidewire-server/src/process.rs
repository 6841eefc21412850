//! The nats-server process and what makes sure that it does not outlive us.

#[cfg(not(unix))]
mod unguarded;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use unguarded::Process;
#[cfg(unix)]
pub(crate) use unix::Process;
