//! A subject is read as it was made, and never as anything else.

use proptest::prelude::*;
use tidewire_subject::{Key, MAX_SUBJECT, MessageName, Subject, SubjectFilter};

fn near_subject() -> impl Strategy<Value = String> {
    let token = prop_oneof![6 => "[a-c]{1,3}", 2 => "v[0-3]", 1 => "[a-cA-C=2E]{1,5}", 1 => "[*>.]?"];
    proptest::collection::vec(token, 1..9).prop_map(|tokens| tokens.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_made_is_what_is_read(
        name in "[a-c]{1,3}(\\.v[1-9][0-9]{0,2})?\\.[a-c]{1,3}\\.[a-c]{1,3}(\\.[a-c]{1,3})?",
        text in any::<String>(),
    ) {
        let name = MessageName::parse(&name).unwrap();
        let key = Key::new(&text).ok();
        match Subject::new(&name, key.clone()) {
            Ok(subject) => {
                let read = Subject::parse(subject.as_str()).unwrap();
                prop_assert_eq!(&read, &subject);
                prop_assert_eq!(read.name(), &name);
                prop_assert_eq!(read.key(), key.as_ref());
                prop_assert!(subject.as_str().len() <= MAX_SUBJECT);
                let filter = SubjectFilter::of_message(&name, key.is_some());
                prop_assert!(filter.matches(subject.as_str()));
                prop_assert!(!SubjectFilter::of_message(&name, key.is_none()).matches(subject.as_str())
                    || !name.has_entity());
            }
            Err(_) => prop_assert!(!name.has_entity() && key.is_some()),
        }
    }

    #[test]
    fn reading_is_the_identity_on_what_it_accepts(text in near_subject()) {
        if let Ok(subject) = Subject::parse(&text) {
            prop_assert_eq!(subject.as_str(), text.as_str());
            let again = Subject::new(subject.name(), subject.key().cloned()).unwrap();
            prop_assert_eq!(again, subject);
            prop_assert!(SubjectFilter::parse(&text).unwrap().is_literal());
        }
    }

    #[test]
    fn the_number_of_tokens_decides(text in near_subject()) {
        if let Ok(subject) = Subject::parse(&text) {
            let tokens = text.split('.').count() - usize::from(subject.name().major().is_some());
            prop_assert_eq!(subject.key().is_some(), tokens == 5);
            prop_assert_eq!(subject.name().has_entity(), tokens > 3);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), near in near_subject()) {
        let _ = Subject::parse(&text).map_err(|error| error.to_string());
        let _ = Subject::parse(&near).map_err(|error| error.to_string());
    }
}
