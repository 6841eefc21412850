//! JSON objects in which each name stands once.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

/// What such an object is called in errors.
pub(crate) const EACH_ONCE: &str = "a JSON object in which each name stands once";

/// The members of an object. A name that stands twice is an error: of two readers one may take the first and the other
/// the last, and they would have read two messages.
#[derive(Debug)]
pub(crate) struct Unique<V>(pub(crate) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EACH_ONCE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if members.insert(name, value).is_some() {
                let repeated = de::Unexpected::Other("a repeated name");
                return Err(de::Error::invalid_value(repeated, &self));
            }
        }
        Ok(Unique(members))
    }
}
