//! One real nats-server: how it is installed, started, steered and ended.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helper fails the test")]

mod client;
mod download;
mod guard;
mod install;
mod life;
mod ready;
mod settings;
