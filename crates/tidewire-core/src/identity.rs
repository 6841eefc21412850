//! What makes two messages the same one.

use std::fmt;

use crate::{MessageId, Timestamp, id::hash};

/// The same for every copy of a message, however often and where it is published: a hash of who made it and what they
/// call it, or of its place where nobody calls it anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(String);

impl Identity {
    /// That of the message that `source` calls `id`. Two sources may give one id to two messages.
    pub fn of_message(source: &str, id: &MessageId) -> Self {
        Self(hash(&[
            b"message",
            source.as_bytes(),
            id.as_str().as_bytes(),
            &[],
        ]))
    }

    /// That of a message without a name: its place in a stream, and when it was stored there, for a stream that was
    /// deleted and made again counts from 1 again.
    pub fn of_place(stream: &str, sequence: u64, stored: Timestamp) -> Self {
        Self(hash(&[
            b"place",
            stream.as_bytes(),
            &sequence.to_be_bytes(),
            stored.to_string().as_bytes(),
        ]))
    }

    /// 26 digits and lower-case letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_one_part_is_another_message() {
        let id = MessageId::from_text("evt_1").unwrap();
        let other = MessageId::from_text("evt_2").unwrap();
        let first = Identity::of_message("payments", &id);
        assert_eq!(first, Identity::of_message("payments", &id));
        assert_ne!(first, Identity::of_message("orders", &id));
        assert_ne!(first, Identity::of_message("payments", &other));
        let (early, late) = (Timestamp::default(), "2026-03-20T10:00:00Z".parse().unwrap());
        assert_ne!(
            Identity::of_place("S", 1, early),
            Identity::of_place("S", 1, late)
        );
        assert_ne!(
            Identity::of_place("S", 1, early),
            Identity::of_place("S", 2, early)
        );
    }
}
