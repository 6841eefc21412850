use super::*;

fn filter(text: &str) -> SubjectFilter {
    SubjectFilter::parse(text).unwrap()
}

#[test]
fn every_subscription_of_the_server_is_a_filter() {
    for text in [
        ">",
        "*",
        "a.>",
        "*.*.>",
        "_INBOX.x.*",
        "$JS.API.>",
        "a*.b",
        "a>.b",
        "**",
        ">>",
        "Ärger.🦀",
    ] {
        assert_eq!(filter(text).as_str(), text);
    }
    assert!(filter("a*.b").is_literal() && filter(">>.**").is_literal() && !filter("a.*").is_literal());
}

#[test]
fn what_the_server_refuses_is_refused() {
    let refused = |text: &str| SubjectFilter::parse(text).unwrap_err();
    assert_eq!(refused(""), FilterError::Empty);
    for text in [".", "a.", ".a", "a..b"] {
        assert!(matches!(refused(text), FilterError::EmptyToken { .. }));
    }
    for text in [">.a", "a.>.b", ">.>"] {
        assert!(matches!(refused(text), FilterError::TailNotLast { .. }));
    }
    for text in ["a b", "a.\t", "a\r\nb", "\0", "a\u{a0}b", "\u{85}"] {
        assert!(matches!(refused(text), FilterError::ForeignCharacter { .. }));
    }
    assert!(SubjectFilter::parse(&"a".repeat(512)).is_ok());
    assert_eq!(refused(&"a".repeat(513)), FilterError::TooLong { length: 513 });
}

#[test]
fn a_wildcard_stands_for_whole_tokens() {
    for (text, subject, expected) in [
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.>", "a", false),
        ("a.>", "a.b.c", true),
        (">", "a", true),
        (">", "", false),
        ("*", "", false),
        (">", "a..b", false),
        ("a.>", "a.b.", false),
        ("a.*", "a.", false),
        ("a*", "ab", false),
        ("a*", "a*", true),
        ("*", "*", true),
        (">", "a.>", true),
    ] {
        assert_eq!(filter(text).matches(subject), expected, "{text} {subject}");
    }
}

#[test]
fn relations_of_filters_follow_their_sets() {
    for (one, other, overlap, cover) in [
        ("a.*", "*.b", true, false),
        ("a.>", "a", false, false),
        ("a.>", "a.*.c", true, true),
        ("*.>", ">", true, false),
        (">", "*.>", true, true),
        ("*", ">", true, false),
        ("*.*", "*", false, false),
        ("a.*.c", "a.b.>", true, false),
        ("a.b", "a.b", true, true),
    ] {
        assert_eq!(filter(one).overlaps(&filter(other)), overlap, "{one} {other}");
        assert_eq!(filter(one).covers(&filter(other)), cover, "{one} {other}");
    }
}

#[test]
fn the_filter_of_a_message_has_exact_length() {
    let keyed = MessageName::from_static("orders.payments.payment.processed");
    let bare = MessageName::from_static("orders.payments.process");
    assert_eq!(
        SubjectFilter::of_message(&keyed, true),
        filter("orders.payments.payment.processed.*")
    );
    assert_eq!(
        SubjectFilter::of_message(&keyed, false),
        filter("orders.payments.payment.processed")
    );
    assert_eq!(
        SubjectFilter::of_message(&bare, true),
        filter("orders.payments.process")
    );
    assert!(SubjectFilter::of_message(&keyed, false).is_literal());
}
