//! A name is accepted exactly when an independent statement of the grammar accepts it.

use proptest::prelude::*;
use tidewire_subject::{ContextName, EntityName, MessageName, RESERVED_DOMAINS, name_is_of_entity};

/// The grammar once more, as plainly as it can be said and without regard to speed.
fn is_name(text: &str, words: std::ops::RangeInclusive<usize>) -> bool {
    let mut tokens: Vec<&str> = text.split('.').collect();
    if tokens.len() > 1 && looks_like_major(tokens[1]) {
        if tokens[1][1..].parse::<u32>().is_err() {
            return false;
        }
        tokens.remove(1);
    }
    words.contains(&tokens.len())
        && tokens.iter().all(|token| is_word(token))
        && !RESERVED_DOMAINS.contains(&tokens[0])
}

fn looks_like_major(token: &str) -> bool {
    token
        .strip_prefix('v')
        .is_some_and(|n| !n.is_empty() && !n.starts_with('0') && n.chars().all(|c| c.is_ascii_digit()))
}

fn is_word(token: &str) -> bool {
    let run = |run: &str| !run.is_empty() && run.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9'));
    token.len() <= 64 && !looks_like_major(token) && token.split(['-', '_']).all(run)
}

/// Texts near the grammar, so that both answers are common.
fn near_name() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => "[a-c]{1,3}([-_][a-c0]{1,2}){0,2}",
        3 => "v[0-9]{1,2}",
        1 => "v[1-9][0-9]{8,10}",
        2 => "[a-c]([-_]{1,2}[a-c]){1,2}[-_]?",
        1 => "[a-c_.*-]{0,4}",
        1 => "(queue|retry|tidewire|dlq)s?",
        1 => "[a-z]{63,66}",
        1 => "[A-Zé ]{1,3}",
    ];
    proptest::collection::vec(word, 1..6).prop_map(|words| words.join("."))
}

/// Contexts out of so few that equal ones, and ones that differ by a mark alone, are common.
fn near_context() -> impl Strategy<Value = String> {
    "a([-_][av]){0,2}(\\.v1)?\\.a([-_]v1){0,2}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_are_those_of_the_grammar(text in near_name()) {
        prop_assert_eq!(MessageName::parse(&text).is_ok(), is_name(&text, 3..=4), "{}", text);
        prop_assert_eq!(EntityName::parse(&text).is_ok(), is_name(&text, 3..=3), "{}", text);
        prop_assert_eq!(ContextName::parse(&text).is_ok(), is_name(&text, 2..=2), "{}", text);
    }

    #[test]
    fn the_parts_of_a_name_make_it_again(text in near_name()) {
        if let Ok(name) = MessageName::parse(&text) {
            let mut parts = vec![name.domain().to_owned()];
            parts.extend(name.major().map(|major| format!("v{major}")));
            parts.push(name.context().to_owned());
            parts.extend(name.entity().map(str::to_owned));
            parts.push(name.action().to_owned());
            prop_assert_eq!(parts.join("."), name.as_str());
            prop_assert_eq!(name.as_str(), text.as_str());
            let context = name.context_name();
            prop_assert!(context.contains(&name));
            prop_assert_eq!(&context, &ContextName::parse(context.as_str()).unwrap());
            if let Some(entity) = name.entity_name() {
                prop_assert!(name.belongs_to(&entity));
                prop_assert!(name_is_of_entity(name.as_str(), entity.as_str()));
            }
        }
    }

    #[test]
    fn the_constant_question_agrees_with_the_types(name in near_name(), entity in near_name()) {
        let typed = match (MessageName::parse(&name), EntityName::parse(&entity)) {
            (Ok(name), Ok(entity)) => entity.contains(&name),
            _ => false,
        };
        prop_assert_eq!(name_is_of_entity(&name, &entity), typed);
    }

    #[test]
    fn two_contexts_never_have_one_stream(one in near_context(), other in near_context()) {
        let (one, other) = (ContextName::parse(&one).unwrap(), ContextName::parse(&other).unwrap());
        prop_assert_eq!(one.stream_name() == other.stream_name(), one == other);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), near in near_name()) {
        for text in [text, near] {
            let _ = MessageName::parse(&text).map_err(|error| error.to_string());
            let _ = EntityName::parse(&text).map_err(|error| error.to_string());
            let _ = ContextName::parse(&text).map_err(|error| error.to_string());
            let _ = tidewire_subject::check_word(&text).map_err(|error| error.to_string());
            let _ = name_is_of_entity(&text, &text);
        }
    }
}
