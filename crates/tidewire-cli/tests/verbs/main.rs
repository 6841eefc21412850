//! Each verb as a user runs it: the real binary against a real server, on which small services run in this process.
//!
//! Snapshots hold what is printed; `INSTA_UPDATE=always cargo test -p tidewire-cli --test verbs` writes them anew.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod bench;
mod book;
mod connection;
mod dlq;
mod dlq_acts;
mod dlq_attempts;
mod dlq_decoded;
mod dlq_killed;
mod dlq_poison;
mod dlq_refused;
mod dlq_replay;
mod dlq_to_subject;
mod explain;
mod hanging;
mod help;
mod hostile;
mod lag;
#[path = "../../../tidewire-ops/tests/support/letters.rs"]
mod letters;
mod manifest;
mod operate;
mod publish;
#[path = "../../../tidewire/tests/edges/support/raw.rs"]
mod raw;
mod reading;
mod request;
mod rules;
mod run;
mod server;
mod services;
mod tail;
mod variables;
mod wrong;
