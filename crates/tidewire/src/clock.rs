//! Where times and new identities come from.

use std::time::SystemTime;

use tidewire_core::{Kind, MessageId, Timestamp};
use uuid::Uuid;

/// The time by this machine's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// An identity that was never used before.
pub(crate) fn new_id(kind: Kind) -> MessageId {
    MessageId::new(kind, Uuid::now_v7())
}
