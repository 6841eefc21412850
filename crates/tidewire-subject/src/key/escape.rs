//! The escape: `=XX` for every byte that is not `[A-Za-z0-9_-]`.

use std::borrow::Cow;

use super::{KeyError, MAX_KEY};
use crate::text::excerpt;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

pub(super) fn escaped_length(text: &str) -> usize {
    text.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

pub(super) fn escape(text: &str, length: usize) -> String {
    let mut token = String::with_capacity(length);
    for byte in text.bytes() {
        if is_plain(byte) {
            token.push(char::from(byte));
        } else {
            token.push('=');
            token.push(char::from(DIGITS[usize::from(byte >> 4)]));
            token.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    token
}

/// The text of a token that was checked.
pub(super) fn unescape(token: &str) -> Cow<'_, str> {
    if !token.contains('=') {
        return Cow::Borrowed(token);
    }
    let mut text = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((byte, behind)) = next_byte(rest) {
        text.push(byte);
        rest = behind;
    }
    // Lossless: the token was checked to be UTF-8.
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// Holds a token to being exactly what `escape` makes of some text; nothing is allocated unless it is not.
pub(super) fn check(token: &str) -> Result<(), KeyError> {
    match token.len() {
        0 => return Err(KeyError::Empty),
        1..=MAX_KEY => {}
        length => return Err(KeyError::TooLong { length }),
    }
    if let Some(character) = token
        .chars()
        .find(|c| *c != '=' && !(c.is_ascii() && is_plain(*c as u8)))
    {
        return Err(KeyError::ForeignCharacter {
            token: excerpt(token),
            character,
        });
    }
    if !token.contains('=') {
        return Ok(());
    }
    let mut text = [0; MAX_KEY];
    let mut length = 0;
    let mut rest = token.as_bytes();
    while !rest.is_empty() {
        let escaped = rest[0] == b'=';
        let Some((byte, behind)) = next_byte(rest) else {
            return Err(KeyError::MalformedEscape {
                token: excerpt(token),
            });
        };
        if escaped && is_plain(byte) {
            return Err(KeyError::NeedlessEscape {
                token: excerpt(token),
                character: char::from(byte),
            });
        }
        text[length] = byte;
        length += 1;
        rest = behind;
    }
    match std::str::from_utf8(&text[..length]) {
        Ok(_) => Ok(()),
        Err(_) => Err(KeyError::NotUtf8 {
            token: excerpt(token),
        }),
    }
}

/// The next byte of the text, and the token behind it; `None` at the end and at a malformed escape.
fn next_byte(token: &[u8]) -> Option<(u8, &[u8])> {
    match token {
        [b'=', high, low, rest @ ..] => Some((digit(*high)? << 4 | digit(*low)?, rest)),
        [b'=', ..] | [] => None,
        [plain, rest @ ..] => Some((*plain, rest)),
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}
