//! As much of a text as a line has room for.

/// The first `limit` characters, and a sign where there are more.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert_eq!(shorten("Grüße", 5), "Grüße");
        assert_eq!(shorten("Grüße", 3), "Grü…");
    }
}
