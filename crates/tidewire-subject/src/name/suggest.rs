//! The nearest correct form of a malformed word, for the text of its error.

use super::scan::{MAX_WORD, check_word};

/// `PaymentProcessed` is `payment-processed`; `None` when nothing of the word can be kept.
pub(super) fn suggest(word: &str) -> Option<String> {
    let mut out = String::new();
    let mut behind_lower = false;
    for character in word.chars().take(2 * MAX_WORD) {
        if character.is_ascii_uppercase() && behind_lower {
            out.push('-');
        }
        behind_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        if character.is_ascii_alphanumeric() {
            out.push(character.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with(['-', '_']) {
            out.push(if character == '_' { '_' } else { '-' });
        }
    }
    let out = out.trim_end_matches(['-', '_']).to_owned();
    check_word(out.as_bytes(), 0, out.len()).is_ok().then_some(out)
}
