//! Parts of texts.

/// The beginning of a text: whole characters, and not more than `most` bytes.
pub(crate) fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    &text[..end]
}
