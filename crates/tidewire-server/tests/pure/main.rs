//! Which nats-server is found, without starting or downloading one.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

mod finding;
