//! What the framework promises, against a real nats-server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends so where it fails"
)]

mod added;
mod backpressure;
mod bad_input;
mod batches;
mod blocking;
mod breakers;
mod cloud_events;
mod codecs;
mod commands;
mod delivery;
mod depths;
mod drain;
mod effectively_once;
mod failures;
mod foreign;
mod given_up;
mod instances;
mod layers;
mod letters;
mod limits;
mod live;
mod metrics;
mod monitor;
mod ordered;
mod pauses;
mod publishes;
mod raw;
#[path = "../support/replay.rs"]
mod replay;
mod replays;
mod requests;
mod rules;
mod runs;
mod settlements;
mod size;
mod start;
mod streams;
mod support;
mod validity;
