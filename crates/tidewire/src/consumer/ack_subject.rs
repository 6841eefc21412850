//! What the server says of a delivery, in the subject at which it is acked.

use std::time::Duration;

use tidewire_core::Timestamp;

/// What stands before it.
const PREFIX: &str = "$JS.ACK.";
/// How many tokens there are behind the prefix at least, where the domain and the account are among them.
const WITH_DOMAIN: usize = 9;

/// The parts of an ack subject that a consumer needs, by [ADR-15 of NATS](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-15.md).
///
/// Read here and not by the client, whose reader makes a date of the time and an `i128` of the other numbers: it was five
/// per cent of what a connection does for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AckSubject {
    /// The number of this delivery of the message, from 1.
    pub(super) delivered: u64,
    /// The message's place in its stream.
    pub(super) stream_sequence: u64,
    /// The number of the delivery among all of the consumer.
    pub(super) consumer_sequence: u64,
    /// When the message was stored.
    pub(super) stored: Timestamp,
}

impl AckSubject {
    /// `None` for a subject of another kind.
    ///
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>`, with
    /// `<domain>.<account hash>.` before the stream where the server says them, and perhaps more behind.
    pub(super) fn read(subject: &str) -> Option<Self> {
        let rest = subject.strip_prefix(PREFIX)?;
        let before = if rest.split('.').count() >= WITH_DOMAIN {
            4
        } else {
            2
        };
        let mut numbers = rest.split('.').skip(before).map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let (delivered, stream_sequence, consumer_sequence) = (next()?, next()?, next()?);
        let stored = Timestamp::from_unix(Duration::from_nanos(next()?));
        Some(Self {
            delivered,
            stream_sequence,
            consumer_sequence,
            stored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_say_the_same() {
        let said = AckSubject {
            delivered: 2,
            stream_sequence: 42,
            consumer_sequence: 7,
            stored: Timestamp::from_unix(Duration::from_nanos(1_700_000_000_123_456_789)),
        };
        for subject in [
            "$JS.ACK.ORDERS.c.2.42.7.1700000000123456789.5",
            "$JS.ACK._.hash.ORDERS.c.2.42.7.1700000000123456789.5",
            "$JS.ACK.hub.hash.ORDERS.c.2.42.7.1700000000123456789.5.random",
            "$JS.ACK.hub.hash.ORDERS.c.2.42.7.1700000000123456789.5.random.more",
        ] {
            assert_eq!(AckSubject::read(subject), Some(said), "{subject}");
        }
    }

    #[test]
    fn other_subjects_say_nothing() {
        for subject in [
            "",
            "$JS.ACK.",
            "$JS.ACK.ORDERS.c.2.42",
            "$JS.ACK.ORDERS.c.2.42.x.1700000000123456789.5",
            "$JS.ACK.ORDERS.c.-2.42.7.1700000000123456789.5",
            "_INBOX.ORDERS.c.2.42.7.1700000000123456789.5",
        ] {
            assert_eq!(AckSubject::read(subject), None, "{subject}");
        }
    }
}
