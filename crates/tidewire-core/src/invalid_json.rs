//! What is wrong with JSON, without what was in it.

use std::fmt;

use serde_json::error::Category;

/// JSON that cannot be read: what was expected, and where.
///
/// It never shows what was found there. serde's own texts do (``invalid type: string "hunter2", expected u64``), and
/// errors go to logs and to callers, where a message's body has no business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidJson {
    text: String,
    is_syntax: bool,
}

impl InvalidJson {
    /// Whether the text is no JSON at all, or cut short; otherwise it is JSON that does not fit its type.
    pub fn is_syntax(&self) -> bool {
        self.is_syntax
    }
}

impl From<serde_json::Error> for InvalidJson {
    fn from(error: serde_json::Error) -> Self {
        let is_syntax = error.classify() != Category::Data;
        let text = error.to_string();
        let at = match error.line() {
            0 => String::new(),
            line => format!(" at line {line} column {}", error.column()),
        };
        // The syntax errors of serde_json are fixed texts.
        let text = if is_syntax {
            text
        } else {
            let what = text.strip_suffix(&at).unwrap_or_default();
            format!("{}{at}", without_values(what))
        };
        Self { text, is_syntax }
    }
}

/// Keeps what the type's author wrote (names of fields, what was expected) and drops what the sender wrote.
fn without_values(text: &str) -> String {
    let named = ["missing field `", "duplicate field `"];
    let name = named
        .iter()
        .find_map(|what| text.strip_prefix(what)?.strip_suffix('`'));
    if name.is_some_and(|name| !name.contains(char::is_whitespace)) {
        return text.to_owned();
    }
    // The last one: a value may hold the same words, and stands before it.
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    let expected = expected.filter(|_| !text.contains(", there are no "));
    let whats = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
        "unknown field",
    ];
    let Some(what) = whats.into_iter().find(|what| text.starts_with(what)) else {
        return "a value that its type refuses".to_owned();
    };
    let found = text[what.len()..].strip_prefix(": ").unwrap_or_default();
    let kind = KINDS.into_iter().find(|kind| found.starts_with(kind));
    let kind = kind.map_or_else(String::new, |kind| format!(": {kind}"));
    let expected = expected.map_or_else(String::new, |expected| format!(", expected {expected}"));
    format!("{what}{kind}{expected}")
}

/// What serde calls the kinds of JSON values, before it shows the value.
const KINDS: [&str; 7] = [
    "null",
    "boolean",
    "integer",
    "floating point",
    "string",
    "sequence",
    "map",
];

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for InvalidJson {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, de::DeserializeOwned};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mood {
        Good,
        Bad,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its presence matters")]
        amount: u64,
        #[serde(default)]
        #[expect(dead_code, reason = "only its presence matters")]
        mood: Option<Mood>,
    }

    fn wrong<T: DeserializeOwned + fmt::Debug>(json: &str) -> InvalidJson {
        serde_json::from_str::<T>(json).unwrap_err().into()
    }

    #[test]
    fn what_was_expected_is_said_and_what_was_found_is_not() {
        for (json, text) in [
            (
                r#"{"amount":"hunter2"}"#,
                "invalid type: string, expected u64 at line 1 column 19",
            ),
            (
                r#"{"amount":", expected hunter2"}"#,
                "invalid type: string, expected u64 at line 1 column 30",
            ),
            (
                r#"{"amount":-4711}"#,
                "invalid value: integer, expected u64 at line 1 column 15",
            ),
            (
                r#"{"amount":18446744073709551616}"#,
                "invalid type: floating point, expected u64 at line 1 column 30",
            ),
            (
                r#"{"amount":1,"mood":"hunter2"}"#,
                "unknown variant, expected `good` or `bad` at line 1 column 28",
            ),
            (
                r#"{"hunter2":1}"#,
                "unknown field, expected `amount` or `mood` at line 1 column 10",
            ),
            (
                r#"{"amount":1,"amount":2}"#,
                "duplicate field `amount` at line 1 column 20",
            ),
            ("{}", "missing field `amount` at line 1 column 2"),
            (r#"{"amount":"#, "EOF while parsing a value at line 1 column 10"),
        ] {
            assert_eq!(wrong::<Order>(json).to_string(), text, "{json}");
        }
    }

    #[test]
    fn where_nothing_is_expected_nothing_is_said() {
        let error = wrong::<Empty>(r#"{", expected hunter2":1}"#).to_string();
        assert_eq!(error, "unknown field at line 1 column 21");
    }

    #[test]
    fn the_text_of_a_types_own_refusal_is_not_repeated() {
        let error = wrong::<std::net::IpAddr>(r#""hunter2""#);
        assert_eq!(
            error.to_string(),
            "a value that its type refuses at line 1 column 9"
        );
        assert!(!error.is_syntax());
        assert!(
            wrong::<u64>("[")
                .to_string()
                .starts_with("invalid type: sequence, expected u64")
        );
        assert!(wrong::<serde_json::Value>("[").is_syntax());
    }

    proptest! {
        #[test]
        fn no_value_and_no_name_of_the_sender_is_shown(text in "[a-z, :`\"\\\\]{0,12}", at in 0..3_usize) {
            let canary = format!("canary{text}canary");
            let name = serde_json::to_string(&canary).unwrap();
            let json = [format!("{{\"amount\":{name}}}"), format!("{{{name}:1}}"), format!("{{\"amount\":1,\"mood\":{name}}}")];
            let error = wrong::<Order>(&json[at]).to_string();
            prop_assert!(!error.contains("canary"), "{error}");
        }
    }
}
