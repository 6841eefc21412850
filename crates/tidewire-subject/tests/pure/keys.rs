//! One text has one token, and every text of legal length has one.

use proptest::prelude::*;
use tidewire_subject::{Key, KeyError, MAX_KEY};

/// Any Unicode text, with the characters that matter to NATS far more often than by chance.
fn any_text() -> impl Strategy<Value = String> {
    let troublesome = proptest::sample::select(vec![
        '.', '*', '>', '=', ' ', '\r', '\n', '\t', '\0', '\u{7f}', '\u{a0}', '\u{feff}', '🦀', 'é', 'a', 'Z',
        '0',
    ]);
    proptest::collection::vec(prop_oneof![any::<char>(), troublesome], 0..60)
        .prop_map(|characters| characters.into_iter().collect())
}

/// Tokens near the escape: most have a fault, many have none.
fn near_token() -> impl Strategy<Value = String> {
    proptest::string::string_regex("([A-Za-z0-9_-]|=[0-9A-F]{2}|=[0-7][0-9A-F]|=C3=A9|=[0-9a-f]?|[.é]){0,12}")
        .unwrap_or_else(|error| unreachable!("the expression is a literal: {error}"))
}

fn escaped_length(text: &str) -> usize {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b == b'-' || b == b'_' {
                1
            } else {
                3
            }
        })
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_of_legal_length_round_trips(text in any_text()) {
        match Key::new(&text) {
            Ok(key) => {
                prop_assert_eq!(key.text(), text.as_str());
                prop_assert_eq!(key.to_string(), text);
                prop_assert_eq!(Key::parse_token(key.as_token()), Ok(key.clone()));
                prop_assert!(key.as_token().len() <= MAX_KEY);
                let clean = |b: u8| b.is_ascii_alphanumeric() || b"-_=".contains(&b);
                prop_assert!(key.as_token().bytes().all(clean));
            }
            Err(KeyError::Empty) => prop_assert!(text.is_empty()),
            Err(KeyError::TooLong { length }) => {
                prop_assert_eq!(length, escaped_length(&text));
                prop_assert!(length > MAX_KEY);
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn every_accepted_token_escapes_to_itself(token in near_token()) {
        if let Ok(key) = Key::parse_token(&token) {
            prop_assert_eq!(key.as_token(), &token);
            let again = Key::new(&key.text()).unwrap();
            prop_assert_eq!(again.as_token(), token);
        }
    }

    #[test]
    fn two_texts_never_share_a_token(one in any_text(), other in any_text()) {
        if let (Ok(a), Ok(b)) = (Key::new(&one), Key::new(&other)) {
            prop_assert_eq!(a == b, one == other);
        }
    }

    #[test]
    fn no_token_panics(bytes in any::<Vec<u8>>(), token in any_text()) {
        let _ = Key::parse_token(&String::from_utf8_lossy(&bytes));
        let _ = Key::parse_token(&token).map_err(|error| error.to_string());
    }
}

#[test]
fn the_texts_that_break_nats_arrive_escaped_and_come_back_unchanged() {
    for text in [
        "a.b",
        "*",
        ">",
        "\r\n",
        "\0",
        "\u{a0}",
        "🦀",
        "=2E",
        " ",
        "a\r\nPUB x 0\r\n",
    ] {
        let key = Key::new(text).unwrap();
        assert!(
            key.as_token()
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b))
        );
        assert_eq!(Key::parse_token(key.as_token()).unwrap().text(), text);
    }
}
