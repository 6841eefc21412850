//! The relations of filters are those of the sets of subjects that they stand for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use tidewire_subject::SubjectFilter;

/// Every subject of one to five tokens over an alphabet with one token more than the filters know.
static SUBJECTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let mut longest = vec![String::new()];
    for _ in 0..5 {
        longest = longest
            .iter()
            .flat_map(|head| {
                ["a", "b", "z"].map(|t| {
                    if head.is_empty() {
                        t.into()
                    } else {
                        format!("{head}.{t}")
                    }
                })
            })
            .collect();
        all.extend(longest.iter().cloned());
    }
    all
});

/// Filters of at most four tokens, so that five tokens tell `>` from any number of `*`.
fn filter() -> impl Strategy<Value = String> {
    let token = prop_oneof![Just("a"), Just("b"), Just("*")];
    (proptest::collection::vec(token, 0..4), any::<bool>()).prop_map(|(mut tokens, tail)| {
        if tail || tokens.is_empty() {
            tokens.push(">");
        }
        tokens.join(".")
    })
}

fn set(filter: &SubjectFilter) -> BTreeSet<&'static str> {
    SUBJECTS
        .iter()
        .map(String::as_str)
        .filter(|subject| filter.matches(subject))
        .collect()
}

/// Matching once more, by the definition.
fn matches(filter: &[&str], subject: &[&str]) -> bool {
    match (filter, subject) {
        ([], []) | ([">"], [_, ..]) => true,
        (["*", filter @ ..], [_, subject @ ..]) => matches(filter, subject),
        ([literal, filter @ ..], [token, subject @ ..]) => literal == token && matches(filter, subject),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn relations_agree_with_brute_force(one in filter(), other in filter()) {
        let (one, other) = (SubjectFilter::parse(&one).unwrap(), SubjectFilter::parse(&other).unwrap());
        let (a, b) = (set(&one), set(&other));
        prop_assert_eq!(one.overlaps(&other), !a.is_disjoint(&b), "{} {}", one, other);
        prop_assert_eq!(one.covers(&other), b.is_subset(&a), "{} {}", one, other);
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
        prop_assert!(one.covers(&one) && one.overlaps(&one));
        prop_assert!(!one.covers(&other) || one.overlaps(&other));
    }

    #[test]
    fn matching_agrees_with_its_definition(text in filter(), at in any::<proptest::sample::Index>()) {
        let filter = SubjectFilter::parse(&text).unwrap();
        let subject = at.get(&SUBJECTS);
        let tokens = |text: &'static str| text.split('.').collect::<Vec<_>>();
        let expected = matches(&text.split('.').collect::<Vec<_>>(), &tokens(subject));
        prop_assert_eq!(filter.matches(subject), expected);
        let literal = SubjectFilter::parse(subject).unwrap();
        prop_assert!(literal.is_literal());
        prop_assert_eq!(filter.covers(&literal), expected);
        prop_assert_eq!(filter.overlaps(&literal), expected);
    }

    #[test]
    fn no_text_panics(filter_text in any::<String>(), near in "[a*>. é]{0,12}", subject in any::<String>()) {
        for text in [filter_text, near] {
            match SubjectFilter::parse(&text) {
                Ok(filter) => {
                    prop_assert_eq!(filter.as_str(), text.as_str());
                    let _ = (filter.matches(&subject), filter.matches(&text));
                    prop_assert!(filter.covers(&filter) && filter.overlaps(&filter));
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
