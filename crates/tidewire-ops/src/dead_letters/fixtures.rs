//! A message that failed, for the tests of what is shown of it.

use bytes::Bytes;
use tidewire::{
    Timestamp,
    dead_letter::{Original, OriginalHeaders},
};

pub(super) fn original(headers: Vec<(String, String)>, payload: &'static [u8]) -> Original {
    Original {
        stream: "S".into(),
        created: Timestamp::default(),
        sequence: 1,
        stored: Timestamp::default(),
        subject: "a.b.c.d".into(),
        headers: OriginalHeaders::Parsed(headers),
        payload: Bytes::from_static(payload),
    }
}
