//! A real nats-server on a free port, ready when [`Server::start`] returns and gone when its handle is.
//!
//! ```no_run
//! use tidewire_server::Server;
//!
//! let server = Server::start()?; // about 10 ms; JetStream is on, in a temporary folder
//! assert!(server.url().starts_with("nats://127.0.0.1:"));
//! # Ok::<(), tidewire_server::ServerError>(())
//! ```
//!
//! - [`Binary`] and [`Installer`] find a nats-server, or download the pinned one; what is trusted stands there.
//! - [`Server`] runs one, and can kill, stop, restart and pause it, which is what tests of failure need.
//! - [`Cluster`] runs three or more that elect a leader.
//!
//! # When the parent is killed
//!
//! A server never outlives the process that started it, not even one that was killed with SIGKILL: a guard, two
//! small `sh` processes, holds the other end of a pipe of ours, and kills the server and removes its temporary folder
//! when the pipe ends.
//! The server and its guard have a process group of their own, so Ctrl-C reaches only you and you can drain in peace.
//!
//! # Absent
//!
//! No async runtime and no NATS client: the calls block, for milliseconds, and may be made from async tests. No other
//! crate of Tidewire is used. On Windows there is no guard, no graceful stop and no pause, and nothing was ever run
//! there.

mod binary;
mod cluster;
mod deadline;
mod error;
mod installer;
mod monitoring;
mod platform;
mod process;
mod server;
mod wire;

pub use binary::Binary;
pub use cluster::Cluster;
pub use error::{Attempt, ServerError};
pub use installer::{Installer, Origin};
pub use server::{Server, ServerBuilder};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
