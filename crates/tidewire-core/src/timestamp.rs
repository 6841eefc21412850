//! Points in time, as the envelope writes them.

use std::{fmt, str::FromStr, time::Duration};

use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// A point in time in UTC, to the microsecond; written as RFC 3339 (`2026-03-20T10:00:00.123456Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// Text that is no RFC 3339 timestamp.
#[derive(Debug, thiserror::Error)]
#[error("`{text}`: {source}; write for example 2026-03-20T10:00:00Z")]
pub struct InvalidTimestamp {
    text: String,
    source: jiff::Error,
}

impl Timestamp {
    /// The time `since_epoch` after 1970-01-01T00:00:00Z; the latest representable one where that is too far.
    pub fn from_unix(since_epoch: Duration) -> Self {
        let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        Self(jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; negative before it.
    pub fn unix_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// How long after `earlier` this is; zero where it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or(Duration::ZERO)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PRINTER.timestamp_to_string(&self.0))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|source| InvalidTimestamp {
            text: text.into(),
            source,
        })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_utc_with_microseconds() {
        let time: Timestamp = "2026-03-20T11:00:00.5+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-03-20T10:00:00.500000Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = "yesterday".parse::<Timestamp>().unwrap_err().to_string();
        assert!(error.starts_with("`yesterday`"), "{error}");
    }
}
