use super::*;

#[test]
fn the_escape_is_that_of_the_wire_contract() {
    for (text, token) in [
        ("p-42", "p-42"),
        ("A_z09", "A_z09"),
        ("a.b", "a=2Eb"),
        ("*", "=2A"),
        (">", "=3E"),
        ("=", "=3D"),
        ("a b", "a=20b"),
        ("\r\n", "=0D=0A"),
        ("\0", "=00"),
        ("\u{a0}", "=C2=A0"),
        ("🦀", "=F0=9F=A6=80"),
    ] {
        let key = Key::new(text).unwrap();
        assert_eq!(key.as_token(), token);
        assert_eq!(key.text(), text);
        assert_eq!(key.to_string(), text);
        assert_eq!(Key::parse_token(token).unwrap(), key);
    }
}

#[test]
fn nothing_is_copied_where_nothing_is_escaped() {
    assert!(matches!(Key::new("p-42").unwrap().text(), Cow::Borrowed("p-42")));
}

#[test]
fn an_empty_or_over_long_key_is_refused() {
    assert_eq!(Key::new(""), Err(KeyError::Empty));
    assert_eq!(Key::parse_token(""), Err(KeyError::Empty));
    assert!(Key::new(&"a".repeat(128)).is_ok());
    assert_eq!(Key::new(&"a".repeat(129)), Err(KeyError::TooLong { length: 129 }));
    assert!(Key::new(&".".repeat(42)).is_ok());
    assert_eq!(Key::new(&".".repeat(43)), Err(KeyError::TooLong { length: 129 }));
    assert_eq!(
        Key::parse_token(&"a".repeat(129)),
        Err(KeyError::TooLong { length: 129 })
    );
}

#[test]
fn a_token_that_the_escape_does_not_make_is_refused() {
    let refused = |token: &str| Key::parse_token(token).unwrap_err();
    for token in ["=", "a=", "a=2", "=2e", "=2G", "=é", "==3D"] {
        let error = refused(token);
        assert!(
            matches!(
                error,
                KeyError::MalformedEscape { .. } | KeyError::ForeignCharacter { .. }
            ),
            "{error:?}"
        );
    }
    assert!(
        matches!(refused("=2e"), KeyError::MalformedEscape { .. }),
        "lower case is a second form"
    );
    assert!(matches!(
        refused("=61"),
        KeyError::NeedlessEscape { character: 'a', .. }
    ));
    assert!(matches!(
        refused("=2D"),
        KeyError::NeedlessEscape { character: '-', .. }
    ));
    assert!(matches!(refused("=FF"), KeyError::NotUtf8 { .. }));
    assert!(matches!(refused("=C2x"), KeyError::NotUtf8 { .. }));
    for character in ['.', '*', '>', ' ', '\n', '\0', '\u{a0}', 'é'] {
        let error = refused(&format!("a{character}b"));
        assert!(
            matches!(error, KeyError::ForeignCharacter { character: c, .. } if c == character),
            "{error:?}"
        );
        assert!(error.to_string().contains("Key::new"));
    }
}
