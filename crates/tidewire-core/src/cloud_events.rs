//! `CloudEvents` 1.0, binary and structured, as the NATS protocol binding and the JSON format have them.
//!
//! `id`, `type` (the message's name), `source`, `subject` (the key) and `time` are the specification's; the extensions
//! `correlationid`, `causationid`, `twkind`, `twversion` and `twmeta` (JSON of the sender's own metadata) hold the rest.

mod attributes;
mod read;
mod write;

pub(crate) use attributes::{attribute, is_structured, is_structured_body};
pub(crate) use read::{read_binary, read_structured};
pub(crate) use write::{headers, write_binary, write_structured};

#[cfg(test)]
mod tests;
