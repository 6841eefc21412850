//! Points in time as people type them.

use std::time::{Duration, SystemTime};

use tidewire::Timestamp;

/// Reads `2026-03-20T10:00:00Z`, or how long ago: `90s`, `30m`, `12h`, `7d`.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let units = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];
    let ago = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(*seconds)?))
    });
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    ago.and_then(|ago| now.checked_sub(ago))
        .map(Timestamp::from_unix)
        .ok_or_else(|| "write for example 2026-03-20T10:00:00Z, or how long ago: 30m, 12h, 7d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_are_read() {
        let time = moment("2026-03-20T10:00:00Z").unwrap();
        assert_eq!(time.to_string(), "2026-03-20T10:00:00.000000Z");
        let day = moment("1s").unwrap().since(moment("1d").unwrap());
        assert!((86_390..=86_400).contains(&day.as_secs()), "{day:?}");
        for wrong in ["", "soon", "5", "99999999999999999d", "-1h"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
