//! Text of messages on its way to a terminal.
//!
//! A terminal obeys what it is shown: a message could move the cursor, retitle the window, or show its text in another
//! order than it is read in. Everything of that kind is written out as a number instead.

use std::fmt::Write as _;

/// Text on one line.
pub(crate) fn line(text: &str) -> String {
    escaped(text, |out, character| {
        let _ = match character {
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            _ => write!(out, "\\u{{{:x}}}", u32::from(character)),
        };
    })
}

/// Text on several lines.
pub(crate) fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// JSON text, which stays the same JSON.
pub(crate) fn json(text: &str) -> String {
    escaped(text, |out, character| match character {
        // Outside of strings it is white space, and in them it is escaped already.
        '\n' => out.push('\n'),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    })
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) {
            escape(&mut out, character);
        } else {
            out.push(character);
        }
    }
    out
}

/// Whether a terminal does something else than to show the character.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks, embeddings, overrides and isolates of direction.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // What takes no room at all; the joiners stay, for many scripts need them.
            | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(line("\x1b[31mred\x07\u{9b}2J"), "\\u{1b}[31mred\\u{7}\\u{9b}2J");
        assert_eq!(line("a\u{202e}b\u{2066}c\r\n"), "a\\u{202e}b\\u{2066}c\\r\\n");
        assert_eq!(lines("one\ntwo\x1b"), "one\ntwo\\u{1b}");
        assert_eq!(json("\"\u{202e}\u{e0041}\x7f\""), r#""\u202e\udb40\udc41\u007f""#);
    }

    #[test]
    fn text_of_every_script_is_left_alone() {
        for text in ["Grüße, 世界", "שלום", "👩‍🚀", "a\\b"] {
            assert_eq!(line(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_obeyed_comes_through(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(is_obeyed));
            prop_assert!(!lines(&text).chars().any(|character| character != '\n' && is_obeyed(character)));
        }

        #[test]
        fn json_stays_the_same_json(text in any::<String>()) {
            let value = Value::from(text);
            let escaped = json(&value.to_string());
            prop_assert!(!escaped.chars().any(is_obeyed), "{escaped}");
            prop_assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
        }
    }
}
