//! Event-driven services on NATS and JetStream: a handler is an async function, and its signature is the contract.
//!
//! ```no_run
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use tidewire::prelude::*;
//!
//! #[derive(Event, Serialize, Deserialize, JsonSchema)]
//! #[event(subject = "orders.payments.payment.processed", key = payment_id)]
//! struct PaymentProcessed {
//!     payment_id: String,
//! }
//!
//! #[derive(Event, Serialize, Deserialize, JsonSchema)]
//! #[event(subject = "orders.shipping.parcel.booked", key = payment_id)]
//! struct ParcelBooked {
//!     payment_id: String,
//! }
//!
//! async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
//!     booked.emit(ParcelBooked { payment_id: paid.payment_id }); // leaves only if the handler succeeds
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let nats = tidewire::connect("nats://localhost:4222").await?;
//!     Service::new("shipping", env!("CARGO_PKG_VERSION"))
//!         .context(Context::new("orders.shipping"))
//!         .on(durable("ship-on-payment", ship))
//!         .run(nats)
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! What a handler takes comes in through its arguments: first [extractors](extract), then the message. What it sends
//! goes out through arguments too, [`Emit`], [`Ask`] and [`Dispatch`]. The framework acks a message after its effect is done, and
//! delivers it again where it was not.
//!
//! Features, all off by default: `otlp` exports traces (`telemetry::otlp`), `zstd` compresses what is large (`Service::compress_above`) and reads what is compressed,
//! `msgpack` and `protobuf` are for data that is not JSON ([`Codec`]).

mod ask;
mod batch;
mod breaker;
mod bucket;
mod bulkhead;
mod bus;
mod checkup;
mod clock;
mod connection;
mod consumer;
mod context;
mod crew;
mod delivery;
mod depth;
mod dispatch;
mod election;
mod emit;
mod endpoint;
mod error_events;
pub mod extract;
mod feed;
mod given_up;
mod guarded;
mod handler;
mod headers;
mod health;
mod hearing;
mod inbox;
mod input;
pub mod layer;
mod letters;
mod listen;
mod manifest_bucket;
mod metrics;
mod monitor;
mod objects;
mod operations;
mod outbox;
mod packing;
mod pool;
mod publish_error;
mod quarantine;
#[cfg(test)]
mod remedies;
mod returns;
mod revival;
mod route;
mod running;
mod schemas;
mod sender;
mod service;
mod service_protocol;
mod service_streams;
mod spans;
mod start_error;
mod start_table;
mod stream;
mod subscription;
mod tally;
#[cfg(feature = "otlp")]
pub mod telemetry;
mod uncaptured;
mod unheard;
mod wiring;

pub use ask::{Ask, AskError};
pub use batch::{Batch, BatchArgument, SettlesEach};
pub use breaker::Breaker;
pub use bulkhead::Bulkhead;
pub use bus::Bus;
pub use connection::{ApiError, Connect, ConnectError, Connection, Operation, Refusal, connect};
pub use context::Context;
pub use depth::oldest_unsettled;
pub use dispatch::Dispatch;
pub use emit::{Emit, Recorded};
pub use extract::{Attempt, FromRef, State};
pub use handler::{Arguments, Handler, HandlerFuture};
pub use headers::InvalidHeader;
pub use layer::layered;
pub use objects::{DataMissing, read_object};
pub use publish_error::PublishError;
pub use returns::{Answers, Settles};
pub use running::{ConnectionClosed, RunError, Running, StopError};
pub use sender::Stored;
pub use service::Service;
pub use start_error::StartError;
pub use subscription::{Durable, Live, Subscription, durable, live};
pub use tally::Tally;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use async_nats;
pub use tidewire_core::*;

/// What every service names.
pub mod prelude {
    pub use crate::{
        Any, Ask, Attempt, Batch, Breaker, Bus, Context, Dispatch, Emit, EventFamily, EventSet, Failure,
        FromRef, Message, OrFail, Retry, Service, Start, Then, durable,
        extract::{Command, Event, Query, State},
        live,
    };
    pub use tidewire_core::{Command, Event, Query};
}
