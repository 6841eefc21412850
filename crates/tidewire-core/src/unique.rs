//! JSON objects in which each name stands once.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

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

/// Any JSON in which no object has a name twice, at whatever depth.
#[derive(Debug)]
pub(crate) struct UniqueValue(pub(crate) Value);

impl<'de> Deserialize<'de> for UniqueValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(UniqueValue(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        let Unique(members) = Members::<UniqueValue>(PhantomData).visit_map(map)?;
        let members = members.into_iter();
        Ok(members.map(|(name, UniqueValue(value))| (name, value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_stands_once_at_every_depth() {
        let read = |json: &str| serde_json::from_str::<UniqueValue>(json);
        assert!(read(r#"{"a":[{"b":1},{"b":2}]}"#).is_ok());
        assert!(read(r#"{"a":[{"b":1,"b":2}]}"#).is_err());
        assert!(read(r#"[[{"a":1,"b":{},"a":null}]]"#).is_err());
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_ever(
            numbers in (any::<u64>(), any::<i64>(), any::<f64>().prop_filter("JSON has no NaN", |n| n.is_finite())),
            text in any::<String>(),
            flag in any::<Option<bool>>(),
        ) {
            let json = serde_json::json!({"n": [numbers.0, numbers.1, numbers.2], "t": {"u": text}, "f": flag}).to_string();
            let UniqueValue(read) = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, serde_json::from_str::<Value>(&json).unwrap());
        }
    }
}
