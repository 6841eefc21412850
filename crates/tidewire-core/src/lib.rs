//! What a service says and hears, as plain data: messages, their envelope, what came of handling them.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use tidewire_core::{Event, Message};
//!
//! #[derive(Event, Serialize, Deserialize, JsonSchema)]
//! #[event(subject = "orders.checkout.order.placed", key = order_id)]
//! struct OrderPlaced {
//!     order_id: String,
//! }
//!
//! let placed = OrderPlaced { order_id: "o-1".into() };
//! assert_eq!(OrderPlaced::TYPE.name, "orders.checkout.order.placed");
//! assert_eq!(placed.key().as_deref(), Some("o-1"));
//! ```
//!
//! Nothing here reads a clock, draws a random number or does I/O: identities and times are arguments. A crate
//! that holds the messages shared by several services needs this crate alone.

mod any;
mod breaker;
mod cloud_events;
mod codec;
pub mod dead_letter;
mod decode_error;
mod encoded;
mod envelope;
mod error_event;
mod event_set;
mod extras;
mod failure;
mod format;
mod id;
mod identity;
mod invalid_json;
pub mod lane;
mod manifest;
mod message;
mod metadata;
mod mismatch;
mod older;
pub mod operation;
mod outcome;
mod outgoing;
mod packing;
mod parsed;
mod policy;
mod purpose;
mod reply;
mod retry;
mod seconds;
pub mod settlement;
mod text;
mod timestamp;
mod trace;
mod unique;
#[cfg(feature = "validation")]
mod validity;
pub mod wire;

pub use any::Any;
pub use breaker::{Admission, Circuit, CircuitState};
pub use codec::{AsMessagePack, AsProtobuf, Codec};
pub use decode_error::DecodeError;
pub use encoded::Encoded;
pub use envelope::Envelope;
pub use error_event::ErrorEvent;
pub use event_set::{EventFamily, EventSet, FamilyEvent};
pub use extras::Extras;
pub use failure::{BoxError, Class, Failure, OrFail};
pub use format::Format;
pub use id::MessageId;
pub use identity::Identity;
pub use invalid_json::InvalidJson;
pub use manifest::{
    ContextManifest, HandlerManifest, Manifest, MessageManifest, OlderForm, OlderManifest, PolicyManifest,
    Quality, RateManifest, RuleManifest, Start, Transport,
};
pub use message::{
    CommandMessage, EventMessage, FreeEvent, Kind, Message, MessageType, QueryMessage, RequestMessage,
};
pub use metadata::Metadata;
pub use mismatch::Mismatch;
pub use older::{Older, Patches};
pub use outcome::Outcome;
pub use outgoing::{EncodeError, Outgoing, Stamp};
pub use packing::{Claim, Packing};
pub use parsed::Parsed;
pub use policy::{Policy, Rule, Then, Verdict};
pub use purpose::{real_subject, real_subject_or_own, tw_subject};
pub use reply::{ErrorBody, Reply, ReplyError};
pub use retry::Retry;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use trace::TraceContext;
#[cfg(feature = "validation")]
pub use validity::Validity;

pub use tidewire_derive::{Command, Event, EventFamily, EventSet, FromRef, Query};
pub use tidewire_subject::{
    ContextName, EntityName, Key, KeyError, MessageName, NameError, Subject, SubjectError, SubjectFilter,
};

#[doc(hidden)]
pub mod __private {
    //! What the derives write refers to; not for people.
    pub use crate::event_set::name_is_repeated;
    pub use crate::older::is_same_message;
    pub use serde_json::value::RawValue;
    pub use tidewire_subject::name_is_of_entity;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
