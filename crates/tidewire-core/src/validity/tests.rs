use std::{collections::BTreeMap, sync::LazyLock};

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::{MessageType, Older, Patches};

const NAME: &str = "orders.payments.payment.processed";

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Line {
    #[schemars(range(min = 1, max = 100))]
    amount: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Way {
    Card { number: String },
    Cash,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Paid {
    lines: Vec<Line>,
    #[serde(default)]
    by_name: BTreeMap<String, Line>,
    #[serde(default)]
    first: Option<Line>,
    #[serde(default = "card")]
    way: Way,
    #[serde(default)]
    #[schemars(email)]
    mail: Option<String>,
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z]+$"), length(max = 5))]
    word: Option<String>,
}

fn card() -> Way {
    Way::Cash
}

impl Message for Paid {
    const TYPE: MessageType = MessageType {
        kind: Kind::Event,
        name: NAME,
        version: 2,
        keyed: false,
    };

    fn older() -> Older<Self> {
        static PATCHES: Patches = Patches::new(&[(1, r#"[{"op":"move","from":"/items","path":"/lines"}]"#)]);
        Older::patched(&PATCHES)
    }
}
impl crate::EventMessage for Paid {}

static VALIDITY: LazyLock<Validity> = LazyLock::new(|| {
    let manifest = MessageManifest::event::<Paid>();
    Validity::new([(NAME, &manifest)]).unwrap()
});

fn checked(version: u32, data: &Value) -> Result<(), DecodeError> {
    let data = to_raw_value(data).unwrap();
    VALIDITY.check(Encoded {
        kind: Kind::Event,
        name: NAME,
        key: None,
        version,
        binary: None,
        data: &data,
    })
}

/// Path and expectation.
fn mismatch(data: &Value) -> (String, String) {
    match checked(2, data).unwrap_err() {
        DecodeError::BreaksSchema {
            source, version: 2, ..
        } => (source.path().to_owned(), source.expected().to_owned()),
        other => panic!("{other}"),
    }
}

#[test]
fn the_place_and_what_is_expected_there_are_said() {
    for (data, path, expected) in [
        (json!({}), "", "the property `lines`"),
        (json!({"lines": 1}), "/lines", "array"),
        (
            json!({"lines": [{"amount": 1}, {"amount": 0}]}),
            "/lines/1/amount",
            "at least 1",
        ),
        (
            json!({"lines": [{"amount": 101}]}),
            "/lines/0/amount",
            "at most 100",
        ),
        (json!({"lines": [{"amount": "1"}]}), "/lines/0/amount", "integer"),
        (
            json!({"lines": [], "hunter2": 1}),
            "",
            "no property that its schema does not have",
        ),
        (
            json!({"lines": [], "mail": "nobody"}),
            "/mail",
            "text of the format `email`",
        ),
        (
            json!({"lines": [], "word": "A"}),
            "/word",
            "text that matches `^[a-z]+$`",
        ),
        (
            json!({"lines": [], "word": "abcdef"}),
            "/word",
            "at most 5 characters",
        ),
        (
            json!({"lines": [], "first": {"amount": 0}}),
            "/first/amount",
            "at least 1",
        ),
        (
            json!({"lines": [], "way": {"card": {"number": 1}}}),
            "/way/card/number",
            "string",
        ),
        (
            json!({"lines": [], "way": "hunter2"}),
            "/way",
            "\"cash\" or object",
        ),
    ] {
        assert_eq!(mismatch(&data), (path.to_owned(), expected.to_owned()), "{data}");
    }
    assert!(checked(2, &json!({"lines": [{"amount": 1}]})).is_ok());
}

/// The key of a map is content.
#[test]
fn a_name_that_no_schema_has_is_not_shown() {
    let (path, _) = mismatch(&json!({"lines": [], "by_name": {"hunter2": {"amount": 0}}}));
    assert_eq!(path, "/by_name/*/amount");
}

#[test]
fn an_older_version_is_held_against_what_it_becomes() {
    assert!(checked(1, &json!({"items": [{"amount": 1}]})).is_ok());
    let error = checked(1, &json!({"items": [{"amount": 0}]})).unwrap_err();
    assert_eq!(error.class(), "invalid");
    assert_eq!(
        error.to_string(),
        format!(
            "the data of `{NAME}` breaks the schema of version 2: at `/lines/0/amount`, expected at least 1"
        )
    );
}

/// A version before that has a type is held against its own schema, and not against the newest.
#[test]
fn a_version_with_a_type_has_its_own_schema() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Newer {
        #[schemars(range(min = 1000))]
        total: u32,
    }
    impl From<Paid> for Newer {
        fn from(_: Paid) -> Self {
            Self { total: 1000 }
        }
    }
    impl Message for Newer {
        const TYPE: MessageType = MessageType {
            version: 3,
            ..Paid::TYPE
        };
        fn older() -> Older<Self> {
            Older::of::<Paid>()
        }
    }
    impl crate::EventMessage for Newer {}
    let manifest = MessageManifest::event::<Newer>();
    let validity = Validity::new([(NAME, &manifest)]).unwrap();
    let check = |version, data: Value| {
        let data = to_raw_value(&data).unwrap();
        let (kind, name, key) = (Kind::Event, NAME, None);
        validity.check(Encoded {
            kind,
            name,
            key,
            version,
            binary: None,
            data: &data,
        })
    };
    assert!(check(2, json!({"lines": []})).is_ok());
    assert!(check(1, json!({"items": []})).is_ok());
    for (version, data, of) in [
        (3, json!({"total": 999}), 3),
        (2, json!({"total": 1000}), 2),
        (1, json!({"items": [{"amount": 0}]}), 2),
    ] {
        let error = check(version, data).unwrap_err();
        assert!(
            matches!(error, DecodeError::BreaksSchema { version, .. } if version == of),
            "{error}"
        );
    }
}

/// Reading says better what is wrong with these.
#[test]
fn what_is_not_read_at_all_is_let_pass() {
    assert!(checked(3, &json!(1)).is_ok());
    assert!(checked(1, &json!({})).is_ok(), "its patch does not fit");
    let data = to_raw_value(&json!(1)).unwrap();
    for (kind, name) in [(Kind::Command, NAME), (Kind::Event, "a.b.c.d")] {
        let other = Encoded {
            kind,
            name,
            key: None,
            version: 2,
            binary: None,
            data: &data,
        };
        assert!(VALIDITY.check(other).is_ok());
    }
}

#[test]
fn what_is_sent_is_checked_as_it_is_written() {
    let mut paid: Paid = serde_json::from_value(json!({"lines": [{"amount": 1}]})).unwrap();
    assert!(VALIDITY.check_sent(&paid).is_ok());
    paid.lines[0].amount = 0;
    let error = VALIDITY.check_sent(&paid).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the data of `{NAME}` breaks its schema: at `/lines/0/amount`, expected at least 1")
    );
}

#[test]
fn a_schema_that_is_none_is_a_problem_and_so_is_a_patch() {
    let mut manifest = MessageManifest::event::<Paid>();
    manifest.schema = json!({"type": "nothing"});
    let problems = Validity::new([(NAME, &manifest)]).unwrap_err();
    assert!(
        problems[0].contains("version 2") && problems[0].contains("cannot be used"),
        "{problems:?}"
    );
    manifest.older[0].form = OlderForm::Patch(json!([{}]));
    let problems = Validity::new([(NAME, &manifest)]).unwrap_err();
    assert!(
        problems[0].contains("version 1") && problems[0].contains("RFC 6902"),
        "{problems:?}"
    );
}

proptest! {
    #[test]
    fn no_value_and_no_name_of_the_sender_is_shown(text in "[a-z/~*\"]{0,8}", number in 4711_i64..4_711_000) {
        let canary = format!("canary{text}");
        for data in [
            json!({"lines": canary}),
            json!({"lines": [{"amount": canary}]}),
            json!({"lines": [{"amount": number}]}),
            json!({"lines": [], canary.clone(): canary}),
            json!({"lines": [], "by_name": {canary.clone(): {"amount": number}}}),
            json!({"lines": [], "by_name": {canary.clone(): canary}}),
            json!({"lines": [], "mail": canary}),
            json!({"lines": [], "way": canary}),
            json!({"lines": [], "way": {canary.clone(): {"number": canary}}}),
            json!({"lines": [], "way": {"card": {"number": number}}}),
            json!({"lines": [], "first": {"amount": canary}}),
        ] {
            let error = checked(2, &data).unwrap_err();
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains("canary") && !text.contains(&number.to_string()), "{}", text);
        }
    }
}
