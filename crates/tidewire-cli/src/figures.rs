//! Numbers as a table shows them.

/// A span of time in its two largest units: `0.4 s`, `12 s`, `5 m 3 s`, `2 h 5 m`, `3 d 4 h`.
pub(crate) fn time(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} m {} s", whole % 60),
        (0, ..) => format!("{hours} h {} m", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// How many in a second: with a digit behind the point where there are few.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        few if few < 9.95 => format!("{few:.1}"),
        many => format!("{many:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_short() {
        let seconds = [0.0, 0.44, 9.94, 9.96, 59.4, 59.6, 303.0, 7500.0, 273_600.0, 1e300];
        let shown = seconds.map(time);
        let wanted = [
            "0.0 s", "0.4 s", "9.9 s", "10 s", "59 s", "1 m 0 s", "5 m 3 s", "2 h 5 m", "3 d 4 h",
        ];
        assert_eq!(shown[..9], wanted);
        assert_eq!(
            [0.0, 0.25, 9.94, 9.96, 1234.5].map(rate),
            ["0", "0.2", "9.9", "10", "1234"]
        );
    }
}
