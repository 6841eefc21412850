//! The edges, against real servers: credentials, permissions, bad input, and connections that go wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends so where it fails")]

mod bad_input;
mod clusters;
mod contexts;
mod credentials;
mod dead;
mod deadlines;
mod domain;
mod domain_failures;
mod elsewhere;
mod failing;
mod health;
mod inboxes;
mod least;
mod permissions;
mod poison;
mod poison_instances;
mod poison_not_stored;
mod processes;
mod recovery;
mod refused_later;
mod revival;
mod support;
mod tls_first;
