//! Bodies that are compressed, for people to look at.

use bytes::Bytes;
use tidewire::{DecodeError, Packing};

/// A body that unpacks to more bytes is shown as it is.
const SHOWN: usize = 16 << 20;

/// The body as it was before it was compressed. Data in the object store is left there: what is shown says where.
pub(crate) fn unpacked<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    payload: &Bytes,
) -> Result<Bytes, DecodeError> {
    match Packing::of(headers, payload)?.filter(|packing| packing.claim().is_none()) {
        Some(packing) => packing.unpack(payload.clone(), SHOWN),
        None => Ok(payload.clone()),
    }
}
