//! The edges, against real servers: credentials, permissions, bad input, and connections that go wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends so where it fails")]

mod bad_input;
mod canaries;
mod clusters;
mod contexts;
mod credentials;
mod dead;
mod deadlines;
mod domain;
mod domain_failures;
mod domain_kinds;
mod elsewhere;
mod failing;
mod grants;
mod half_open;
mod health;
mod inboxes;
mod kinds;
mod least;
mod least_kinds;
mod outputs;
mod overheard;
mod permissions;
mod pings;
mod poison;
mod poison_instances;
mod poison_kinds;
mod poison_not_stored;
mod processes;
#[path = "../support/records.rs"]
mod records;
mod recovery;
mod refused_later;
#[path = "../support/replay.rs"]
mod replay;
mod revival;
mod support;
mod tls_first;
mod violations;
