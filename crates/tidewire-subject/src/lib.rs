//! A subject is the name of a message and the key of what it is about, and can be read without guessing.
//!
//! ```
//! use tidewire_subject::{Key, MessageName, Subject, SubjectFilter};
//!
//! const PROCESSED: MessageName = MessageName::from_static("orders.payments.payment.processed");
//!
//! let subject = Subject::new(&PROCESSED, Some(Key::new("p.42")?))?;
//! assert_eq!(subject.as_str(), "orders.payments.payment.processed.p=2E42");
//!
//! let received = Subject::parse(subject.as_str())?;
//! assert_eq!(received.name(), &PROCESSED);
//! assert_eq!(received.key().map(Key::text).as_deref(), Some("p.42"));
//!
//! let every_payment = SubjectFilter::of_message(&PROCESSED, true);
//! assert_eq!(every_payment.as_str(), "orders.payments.payment.processed.*");
//! assert!(every_payment.matches(subject.as_str()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | type | form | example |
//! |---|---|---|
//! | [`ContextName`] | `<domain>[.v<major>].<context>` | `orders.payments` |
//! | [`EntityName`] | `<domain>[.v<major>].<context>.<entity>` | `orders.payments.payment` |
//! | [`MessageName`] | `<domain>[.v<major>].<context>[.<entity>].<action>` | `orders.payments.payment.process` |
//! | [`Key`] | `[A-Za-z0-9_-]`, every other byte `=XX` | `p=2E42` |
//! | [`Subject`] | a name, or a name with an entity and a key | `orders.payments.payment.process.p=2E42` |
//! | [`SubjectFilter`] | any NATS subscription | `orders.*.payment.>` |
//!
//! A word is `[a-z0-9]+([-_][a-z0-9]+)*`, at most [`MAX_WORD`] bytes. A word that looks like a major version
//! (`v[1-9][0-9]*`) stands only as the second token, and the [`RESERVED_DOMAINS`] are nobody's domain.
//!
//! The crate has no dependency and no I/O: it runs inside a procedural macro as well as for each message.

mod filter;
mod key;
mod name;
mod subject;
mod text;

pub use filter::{FilterError, SubjectFilter};
pub use key::{Key, KeyError, MAX_KEY};
pub use name::{
    ContextName, EntityName, MAX_WORD, MessageName, NameError, RESERVED_DOMAINS, Shape, check_word,
    name_is_of_entity,
};
pub use subject::{MAX_SUBJECT, Subject, SubjectError};

/// The example of the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
