use super::*;
use crate::{KeyError, NameError};

fn parts(text: &str) -> (String, Option<String>) {
    let subject = Subject::parse(text).unwrap();
    assert_eq!(subject.as_str(), text);
    (subject.name().to_string(), subject.key().map(ToString::to_string))
}

#[test]
fn tokens_are_counted_and_never_guessed() {
    for (text, name, key) in [
        ("orders.payments.process", "orders.payments.process", None),
        (
            "orders.payments.payment.process",
            "orders.payments.payment.process",
            None,
        ),
        ("orders.payments.process.p42", "orders.payments.process.p42", None),
        (
            "orders.payments.payment.process.p-42",
            "orders.payments.payment.process",
            Some("p-42"),
        ),
        (
            "orders.payments.payment.process.v2",
            "orders.payments.payment.process",
            Some("v2"),
        ),
        ("users.v2.profile.created", "users.v2.profile.created", None),
        (
            "users.v2.profile.user.created",
            "users.v2.profile.user.created",
            None,
        ),
        (
            "users.v2.profile.user.created.a=2Eb",
            "users.v2.profile.user.created",
            Some("a.b"),
        ),
    ] {
        assert_eq!(parts(text), (name.to_owned(), key.map(str::to_owned)));
    }
}

#[test]
fn what_is_no_subject_is_refused_by_its_situation() {
    let refused = |text: &str| Subject::parse(text).unwrap_err();
    assert!(matches!(
        refused("a.b.c.d.k.7"),
        SubjectError::EventNumberReserved { .. }
    ));
    assert!(matches!(
        refused("a.v1.b.c.d.k.7"),
        SubjectError::EventNumberReserved { .. }
    ));
    assert!(matches!(
        refused("a.b.c.d.k.7.8"),
        SubjectError::TooManyTokens { found: 7, .. }
    ));
    assert!(matches!(
        refused("a.v1.b.c.d.k.7.8"),
        SubjectError::TooManyTokens { found: 8, .. }
    ));
    assert!(
        matches!(refused("orders.payments.process.P-42"), SubjectError::Name(_)),
        "four tokens are words"
    );
    assert!(matches!(refused("a.b.c.d.=2e"), SubjectError::Key(_)));
    assert!(matches!(refused("a.b.c.d."), SubjectError::Key(KeyError::Empty)));
    assert!(matches!(
        refused("a.b"),
        SubjectError::Name(NameError::TooFewWords { .. })
    ));
    assert!(matches!(
        refused("a.v1.b"),
        SubjectError::Name(NameError::TooFewWords { .. })
    ));
    assert!(matches!(
        refused("a.v1"),
        SubjectError::Name(NameError::TooFewWords { .. })
    ));
    assert!(matches!(
        refused(""),
        SubjectError::Name(NameError::TooFewWords { .. })
    ));
    assert!(matches!(
        refused(&"a.".repeat(257)),
        SubjectError::TooLong { length: 514 }
    ));
    for text in [
        "a.b.>",
        "a.*.c",
        "a.b.c.d.*",
        "_INBOX.a.b",
        "$JS.API.INFO",
        "dlq.a.b.c",
    ] {
        assert!(Subject::parse(text).is_err(), "{text}");
    }
}

#[test]
fn only_a_message_with_an_entity_is_keyed() {
    let bare = MessageName::from_static("orders.payments.process");
    let error = Subject::new(&bare, Some(Key::new("p-42").unwrap())).unwrap_err();
    assert!(matches!(error, SubjectError::KeyWithoutEntity { .. }));
    assert_eq!(
        Subject::new(&bare, None).unwrap().as_str(),
        "orders.payments.process"
    );
}

#[test]
fn the_longest_subject_is_within_the_limit() {
    let word = "a".repeat(MAX_WORD);
    let name = MessageName::parse(&format!("{word}.v4294967295.{word}.{word}.{word}")).unwrap();
    let subject = Subject::new(&name, Some(Key::new(&"k".repeat(MAX_KEY)).unwrap())).unwrap();
    assert_eq!(subject.as_str().len(), LONGEST);
    assert_eq!(Subject::parse(subject.as_str()).unwrap(), subject);
}

#[test]
fn a_name_outlives_its_subject() {
    let name = Subject::parse("orders.payments.payment.process.p-42")
        .unwrap()
        .name()
        .clone();
    assert_eq!(name, MessageName::from_static("orders.payments.payment.process"));
    assert_eq!(name.context_name().as_str(), "orders.payments");
    assert_eq!(
        Subject::new(&name, None).unwrap().as_str(),
        "orders.payments.payment.process"
    );
}
