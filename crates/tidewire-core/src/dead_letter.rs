//! What could not be handled, stored whole, and what was done about it since.
//!
//! A letter is a subject of its own in the dead-letter stream, `dlq.<service>.<durable>.<letter>`. Its first record holds
//! the message; each later one is an act, guarded by the sequence of the record before. The last record says where the
//! letter stands, so that nothing is counted anywhere else.

mod letter;
mod original;
mod record;

pub use letter::{InvalidLetterId, Letter, LetterId, LetterState, StoredRecord, fingerprint};
pub use original::{Original, OriginalHeaders, UnreadableOriginal, Wrapped};
pub use record::{Act, Import, Record, Trouble, UnreadableRecord};

#[cfg(test)]
mod tests;
