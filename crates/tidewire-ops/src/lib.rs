//! What an operator asks of services and their streams, as data: who hears this subject, what runs, what passes by.
//!
//! ```no_run
//! use tidewire_ops::{Manifests, explain};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let nats = tidewire::connect("nats://localhost:4222").await?;
//! let manifests = Manifests::read(&nats).await?;
//! let explanation = explain(&nats, &manifests, "orders.payments.payment.processed.p-42").await?;
//! assert_eq!(explanation.fault, None);
//! # Ok(()) }
//! ```
//!
//! What services declare is read from the bucket where each writes its manifest when it starts, so a message is known here
//! without its Rust type. Nothing here prints: the `tidewire` command does, and any other program may.
//!
//! Every call ends, also where the server hangs. Each question has an answer within ten seconds, or the call ends with an
//! error that says so; what stores a record tries for 22 seconds until its stream has confirmed it. [`publish()`] and
//! [`request()`] are told by their caller how long, and a benchmark starts a service, which may take a minute. Only
//! [`Tail::next`] waits for as long as nothing passes by.

mod api;
pub mod bench;
mod consumers;
mod dead_letters;
mod diff;
mod draft;
mod error;
mod explain;
mod instances;
mod lag;
mod manifests;
mod operate;
mod publish;
#[cfg(test)]
mod remedies;
mod request;
mod schema;
mod tail;
mod unpacked;

pub use consumers::{ConsumerState, Consumers, Scope, Unanswered};
pub use dead_letters::{
    AttemptView, DeadLetters, Discarded, Edit, Edited, Exported, Group, Imported, LetterError, LetterView,
    Listed, Listing, Message, RecordView, Replay, ReplayEnd, Replayed, Selection, Unreadable, groups,
    state_name,
};
pub use diff::{Change, Difference, FieldChange, Section, diff};
pub use draft::Draft;
pub use error::OpsError;
pub use explain::{
    Captured, ConsumerView, Copied, Endpoint, Explanation, Fault, Grammar, Listener, Reader, explain,
};
pub use instances::{Instance, InstanceEndpoint, instances};
pub use lag::{ConsumerLag, Drain, Lag};
pub use manifests::{Manifests, Written, read_manifest};
pub use operate::{breakers, pause, resume};
pub use publish::{Published, publish};
pub use request::{Answer, request};
pub use schema::Problem;
pub use tail::{Content, History, Seen, Tail};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
