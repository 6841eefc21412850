//! The streams of contexts: made, added to, found.

mod api;
mod ensure;
mod lease;
mod lookup;
mod plan;

pub(crate) use ensure::ensure;
pub(crate) use lookup::{captured, find, look_up, streams_overlapping, wait_for_subject};
