//! The identity of a message.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::Kind;

/// The identity of one message: a [TypeID](https://github.com/jetify-com/typeid/tree/main/spec), or whatever text
/// another producer chose.
///
/// Ours are `evt_`, `cmd_`, `qry_` or `rpl_` and a UUID in Crockford's base 32. It is a version 7 UUID where the
/// message began something, and a version 8 one where it follows from another message: then the same input handled
/// again by the same handler gives the same identity, and what was published already is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// A new identity from a UUID that the caller drew.
    pub fn new(kind: Kind, uuid: Uuid) -> Self {
        Self(format!("{}_{}", prefix(kind), base32(uuid.as_u128())))
    }

    /// The identity of what `handler` makes of `input`, stamped with the input's time: `output` is the name of the
    /// message and `index` counts those of one name.
    ///
    /// The time is that of the input's identity; `unix_millis`, the input's own, counts only where somebody else chose the
    /// identity. A message that is sent again has the same identity and another time, and what follows from it must not
    /// become something else by that.
    ///
    /// `handler` names the service too: two services that handle one event must not give one identity to two outputs.
    pub fn derived(
        kind: Kind,
        input: &Self,
        unix_millis: i64,
        handler: &str,
        output: &str,
        index: u32,
    ) -> Self {
        let mut hash = Sha256::new();
        for part in [
            input.as_str().as_bytes(),
            handler.as_bytes(),
            output.as_bytes(),
            &index.to_be_bytes(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // As in version 7, the first 48 bits are the milliseconds, so that ids sort by time.
        let millis = input.unix_millis().unwrap_or(unix_millis);
        let millis = u64::try_from(millis).unwrap_or(0).to_be_bytes();
        bytes[..6].copy_from_slice(&millis[2..]);
        Self::new(kind, Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The identity that another producer chose; `None` where it is empty.
    pub fn from_text(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }

    /// The time in an identity that this module made; `None` in that of another producer.
    fn unix_millis(&self) -> Option<i64> {
        let (_, suffix) = self.0.rsplit_once('_')?;
        let uuid = Uuid::from_u128(unbase32(suffix)?);
        let is_ours = matches!(uuid.get_version_num(), 7 | 8);
        is_ours
            .then(|| i64::try_from(uuid.as_u128() >> 80).ok())
            .flatten()
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "evt",
        Kind::Command => "cmd",
        Kind::Query => "qry",
        Kind::Reply | Kind::Error => "rpl",
    }
}

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 26 digits that stand for all of `parts`, none of which runs into another.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    base32(u128::from_be_bytes(bytes))
}

/// 128 bits in 26 digits, the first of them holding three bits.
fn base32(mut bits: u128) -> String {
    let mut text = [0; 26];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(bits & 31) as usize];
        bits >>= 5;
    }
    text.iter().map(|&digit| char::from(digit)).collect()
}

/// What [`base32`] wrote.
fn unbase32(text: &str) -> Option<u128> {
    if text.len() != 26 || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0, |bits: u128, digit| {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        Some(bits << 5 | value as u128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the TypeID specification's `valid.yml`.
    #[test]
    fn base32_follows_the_specification() {
        assert_eq!(base32(0), "00000000000000000000000000");
        assert_eq!(base32(1), "00000000000000000000000001");
        assert_eq!(base32(u128::MAX), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        let uuid = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(base32(uuid.as_u128()), "01h455vb4pex5vsknk084sn02q");
    }

    #[test]
    fn derived_ids_are_stable_and_differ_by_every_part() {
        let input = MessageId::from_text("evt_123").unwrap();
        let id = |kind, handler, output, index| {
            MessageId::derived(kind, &input, 1_774_000_000_123, handler, output, index)
        };
        let first = id(Kind::Event, "a__ship", "x.y.z", 0);
        assert_eq!(first, id(Kind::Event, "a__ship", "x.y.z", 0));
        assert_ne!(first, id(Kind::Event, "a__ship", "x.y.z", 1));
        assert_ne!(first, id(Kind::Event, "a__ship", "x.y.w", 0));
        assert_ne!(first, id(Kind::Event, "b__ship", "x.y.z", 0));
        assert_ne!(first, id(Kind::Command, "a__ship", "x.y.z", 0));
        assert!(first.as_str().starts_with("evt_01km"), "{first}");
    }

    /// A request that is asked again, by a handler that runs again, has the same id and is stamped anew.
    #[test]
    fn what_follows_from_a_message_that_is_sent_again_has_the_same_id() {
        let uuid = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let first = MessageId::new(Kind::Event, uuid);
        let follows = |input, millis| MessageId::derived(Kind::Command, input, millis, "a__b", "x.y.z", 0);
        let asked = follows(&first, 1);
        assert_eq!(asked, follows(&first, 2));
        assert_eq!(first.unix_millis(), Some(0x0189_0a5d_ac96));
        assert_eq!(asked.unix_millis(), first.unix_millis(), "derived ones too");
        assert_eq!(follows(&asked, 3), follows(&asked, 4));
        for foreign in [
            "evt_123",
            "1",
            "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "evt_üüüüüüüüüüüüü",
        ] {
            assert_eq!(
                MessageId::from_text(foreign).unwrap().unix_millis(),
                None,
                "{foreign}"
            );
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let input = MessageId::from_text("e").unwrap();
        let id = |handler, output| MessageId::derived(Kind::Event, &input, 0, handler, output, 0);
        assert_ne!(id("ab", "c"), id("a", "bc"));
    }
}
