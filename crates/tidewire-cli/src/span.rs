//! Durations as people type them.

use std::time::Duration;

/// Reads `500ms`, `5s`, `2m`, or seconds without a unit.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("", 1.0)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    read.filter(|span| !span.is_zero())
        .ok_or_else(|| "write for example 500ms, 5s or 2m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        let millis = |text| span(text).map(|span| span.as_millis());
        assert_eq!(
            ["500ms", "5s", "2m", "0.25", "1.5s"].map(millis),
            [Ok(500), Ok(5000), Ok(120_000), Ok(250), Ok(1500)]
        );
        for wrong in ["", "0s", "-1s", "soon", "5h", "NaN", "inf"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
