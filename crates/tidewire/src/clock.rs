//! Where times and new identities come from.

use std::time::{Duration, SystemTime};

use tidewire_core::{Kind, MessageId, Timestamp};
use uuid::Uuid;

/// The time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    at(SystemTime::now())
}

/// How long ago 1970 was, by this machine's clock.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// A time as messages have it; 1970 where it is before that.
pub(crate) fn at(time: SystemTime) -> Timestamp {
    Timestamp::from_unix(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The time by this machine's clock, and so much later.
pub(crate) fn now_and(later: Duration) -> Timestamp {
    at(SystemTime::now() + later)
}

/// An identity that was never used before.
pub(crate) fn new_id(kind: Kind) -> MessageId {
    MessageId::new(kind, Uuid::now_v7())
}
