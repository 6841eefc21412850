//! A Rust type and one attribute are a message's whole contract.
//!
//! ```
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # use tidewire_core::Event;
//! #[derive(Event, Serialize, Deserialize, JsonSchema)]
//! #[event(subject = "orders.checkout.order.placed", key = order_id)]
//! struct OrderPlaced {
//!     order_id: String,
//! }
//! ```
//!
//! These derives write only what could be written by hand, and each shows it: the code decides nothing that the traits
//! do not say. What is wrong with a declaration is a compile error at the word that is wrong, with what to write
//! instead; the subjects are held to the grammar by `tidewire-subject`, as they are when a message comes.
//!
//! Use them from `tidewire` or `tidewire-core`, which re-export them. The written code names whichever of these the
//! `Cargo.toml` of the crate has, renamed or not.

mod attributes;
mod closest;
mod family;
mod from_ref;
mod generics;
mod kind;
mod message;
mod paths;
mod set;
mod variants;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, Result, parse_macro_input};

use kind::Kind;

/// Makes a struct an event: a message that says what happened.
///
/// `#[event(…)]` takes
///
/// - `subject = "domain.context.entity.action"`: the message's name, its action in the past tense. A major version may
///   stand second (`"users.v2.profile.user.created"`), and a message that is about no entity leaves that word out.
/// - `key = field`: the field whose text, by `ToString`, is the id of the entity; it becomes the last token of the
///   subject. Without it the message has no key, and that is for ever.
/// - `version = 2`: the revision of the data, 1 where it is not given. What comes in an older one is read only where one
///   of the next two says how; what is newer, never.
/// - `from = OrderPlacedV1`: the type of the version right before, the same message with a lower `version`; it becomes
///   this one by `From`. What that type reads of older versions is read too.
/// - `patch(1 = [{"op": "move", "from": "/sum", "path": "/total"}])`: instead of a type, a JSON patch (RFC 6902) for
///   the data of each older version, which makes it that of the next one; `[]` where nothing has to change.
/// - `codec = msgpack` or `codec = protobuf`: how its data is written, JSON where it is not given; with the feature of that
///   name.
/// - `family = Enum`: the `EventFamily` of the entity's events. Such an event has a key, and only the event store
///   writes it; without a family it is free, and a handler may emit it.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::Event;
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(subject = "orders.checkout.order.placed", key = order_id, version = 2)]
/// struct OrderPlaced {
///     order_id: u64,
/// }
/// ```
///
/// is by hand
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::{EventMessage, FreeEvent, Kind, Message, MessageType};
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct OrderPlaced { order_id: u64 }
/// impl Message for OrderPlaced {
///     const TYPE: MessageType = MessageType {
///         kind: Kind::Event,
///         name: "orders.checkout.order.placed",
///         version: 2,
///         keyed: true,
///     };
///
///     fn key(&self) -> Option<String> {
///         Some(self.order_id.to_string())
///     }
/// }
/// impl EventMessage for OrderPlaced {}
/// impl FreeEvent for OrderPlaced {}
/// ```
///
/// With `from = OrderPlacedV1` it has, or with `patch(1 = [])`,
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::{Event, EventMessage, FreeEvent, Kind, Message, MessageType, Older, Patches};
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.checkout.order.placed")]
/// # struct OrderPlacedV1 {}
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct ByType {}
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct ByPatch {}
/// # impl From<OrderPlacedV1> for ByType { fn from(_: OrderPlacedV1) -> Self { Self {} } }
/// # impl Message for ByType {
/// #     const TYPE: MessageType = MessageType { version: 2, ..OrderPlacedV1::TYPE };
/// fn older() -> Older<Self> {
///     Older::of::<OrderPlacedV1>()
/// }
/// # }
/// # impl Message for ByPatch {
/// #     const TYPE: MessageType = MessageType { version: 2, ..OrderPlacedV1::TYPE };
/// // or
/// fn older() -> Older<Self> {
///     static PATCHES: Patches = Patches::new(&[(1, "[]")]);
///     Older::patched(&PATCHES)
/// }
/// # }
/// ```
///
/// and with `family = OrderEvent` the last line is `impl FamilyEvent for OrderPlaced { type Family = OrderEvent; }`.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(message::expand(Kind::Event, &input, &paths::messages()))
}

/// Makes a struct a command: a message that asks for something to be done.
///
/// `#[command(…)]` takes `subject` (its action in the imperative), `key`, `version`, `from`, `patch` and `codec` as
/// [`macro@Event`] does, and
///
/// - `reply = Type`: what the answer holds, `()` where it is not given. An older version has the same.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::Command;
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Receipt {
///     total: u64,
/// }
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// #[command(subject = "orders.payments.payment.process", key = payment_id, reply = Receipt)]
/// struct ProcessPayment {
///     payment_id: String,
/// }
/// ```
///
/// is by hand
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::{CommandMessage, Kind, Message, MessageType, RequestMessage};
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct Receipt { total: u64 }
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct ProcessPayment { payment_id: String }
/// impl Message for ProcessPayment {
///     const TYPE: MessageType = MessageType {
///         kind: Kind::Command,
///         name: "orders.payments.payment.process",
///         version: 1,
///         keyed: true,
///     };
///
///     fn key(&self) -> Option<String> {
///         Some(self.payment_id.to_string())
///     }
/// }
/// impl RequestMessage for ProcessPayment {
///     type Reply = Receipt;
/// }
/// impl CommandMessage for ProcessPayment {}
/// ```
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(message::expand(Kind::Command, &input, &paths::messages()))
}

/// Makes a struct a query: a message that asks for an answer and changes nothing.
///
/// `#[query(…)]` takes what `#[command(…)]` takes, and the derive writes what [`macro@Command`] writes, with
/// `Kind::Query` and `QueryMessage`.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::Query;
/// #[derive(Query, Serialize, Deserialize, JsonSchema)]
/// #[query(subject = "orders.payments.payment.get", key = payment_id, reply = Option<u64>)]
/// struct GetPayment {
///     payment_id: String,
/// }
/// ```
#[proc_macro_derive(Query, attributes(query))]
pub fn derive_query(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(message::expand(Kind::Query, &input, &paths::messages()))
}

/// Makes an enum a set of events: what one handler can take.
///
/// Each variant holds one event. Two events with one subject do not compile.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::{Event, EventSet};
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.payments.payment.processed")]
/// # struct Processed;
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "inventory.stock.item.rejected")]
/// # struct Rejected;
/// #[derive(EventSet)]
/// enum Outcome {
///     Paid(Processed),
///     OutOfStock(Rejected),
/// }
/// ```
///
/// is by hand
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use serde_json::value::RawValue;
/// # use tidewire_core::{DecodeError, Encoded, Event, EventSet, Message, MessageManifest, MessageType};
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.payments.payment.processed")]
/// # struct Processed;
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "inventory.stock.item.rejected")]
/// # struct Rejected;
/// # enum Outcome { Paid(Processed), OutOfStock(Rejected) }
/// impl EventSet for Outcome {
///     const TYPES: &'static [MessageType] = &[Processed::TYPE, Rejected::TYPE];
///
///     fn decode(encoded: Encoded<'_>) -> Result<Self, DecodeError> {
///         if encoded.name == Processed::TYPE.name {
///             return encoded.decode::<Processed>().map(Self::Paid);
///         }
///         if encoded.name == Rejected::TYPE.name {
///             return encoded.decode::<Rejected>().map(Self::OutOfStock);
///         }
///         Err(DecodeError::unknown(encoded.name, Self::TYPES))
///     }
///
///     fn json(encoded: Encoded<'_>) -> Result<Box<RawValue>, DecodeError> {
///         if encoded.name == Processed::TYPE.name {
///             return encoded.json::<Processed>();
///         }
///         if encoded.name == Rejected::TYPE.name {
///             return encoded.json::<Rejected>();
///         }
///         Err(DecodeError::unknown(encoded.name, Self::TYPES))
///     }
///
///     fn manifest() -> Vec<(MessageType, MessageManifest)> {
///         vec![
///             (Processed::TYPE, MessageManifest::event::<Processed>()),
///             (Rejected::TYPE, MessageManifest::event::<Rejected>()),
///         ]
///     }
/// }
/// impl From<Processed> for Outcome {
///     fn from(event: Processed) -> Self {
///         Self::Paid(event)
///     }
/// }
/// impl From<Rejected> for Outcome {
///     fn from(event: Rejected) -> Self {
///         Self::OutOfStock(event)
///     }
/// }
/// ```
#[proc_macro_derive(EventSet)]
pub fn derive_event_set(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(set::expand(&input, &paths::messages()))
}

/// Makes an enum the family of one entity's events: its history is written as a whole and never piecemeal.
///
/// `#[family(…)]` takes
///
/// - `entity = "domain.context.entity"`: whose events these are.
///
/// The derive writes what [`macro@EventSet`] writes, and `EventFamily`. It does not compile where an event is of
/// another entity, or does not say `family = …` with this enum.
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::{Event, EventFamily};
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(subject = "orders.payments.payment.processed", key = payment_id, family = PaymentEvent)]
/// struct Processed {
///     payment_id: String,
/// }
///
/// #[derive(EventFamily)]
/// #[family(entity = "orders.payments.payment")]
/// enum PaymentEvent {
///     Processed(Processed),
/// }
/// ```
///
/// is by hand, beside the set,
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use tidewire_core::{Event, EventFamily, EventSet};
/// # #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// # #[event(subject = "orders.payments.payment.processed", key = payment_id, family = PaymentEvent)]
/// # struct Processed { payment_id: String }
/// # #[derive(EventSet)]
/// # enum PaymentEvent { Processed(Processed) }
/// impl EventFamily for PaymentEvent {
///     const ENTITY: &'static str = "orders.payments.payment";
/// }
/// ```
#[proc_macro_derive(EventFamily, attributes(family))]
pub fn derive_event_family(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(family::expand(&input, &paths::messages()))
}

/// Lets a handler take each field of a service's state by its type: `State(gateway): State<Gateway>`.
///
/// Each field's type is `Clone`, and no two fields have one type; `#[from_ref(skip)]` leaves a field out. The trait is
/// `tidewire`'s: a crate that has `tidewire-core` alone has no use for this derive.
///
/// ```ignore
/// #[derive(Clone, FromRef)]
/// struct App {
///     gateway: Gateway,
///     #[from_ref(skip)]
///     started: Instant,
/// }
///
/// // is by hand
/// impl FromRef<App> for Gateway {
///     fn from_ref(state: &App) -> Self {
///         state.gateway.clone()
///     }
/// }
/// ```
#[proc_macro_derive(FromRef, attributes(from_ref))]
pub fn derive_from_ref(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(from_ref::expand(&input, &paths::framework()))
}

fn finish(expanded: Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(Error::into_compile_error).into()
}
