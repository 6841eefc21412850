use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::to_raw_value};

use crate::{DecodeError, Encoded, EventMessage, EventSet, Kind, Message, MessageType, Older, Patches};

const NAME: &str = "orders.payments.payment.processed";

const fn version(version: u32) -> MessageType {
    MessageType {
        kind: Kind::Event,
        name: NAME,
        version,
        keyed: false,
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct V2 {
    euros: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct V3 {
    cents: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct V4 {
    cents: u64,
    currency: String,
}

/// Read in version 1 too, by a patch.
impl Message for V2 {
    const TYPE: MessageType = version(2);

    fn older() -> Older<Self> {
        static PATCHES: Patches = Patches::new(&[(1, r#"[{"op":"move","from":"/sum","path":"/euros"}]"#)]);
        Older::patched(&PATCHES)
    }
}

impl Message for V3 {
    const TYPE: MessageType = version(3);

    fn older() -> Older<Self> {
        Older::of::<V2>()
    }
}

impl Message for V4 {
    const TYPE: MessageType = version(4);

    fn older() -> Older<Self> {
        Older::of::<V3>()
    }
}

impl EventMessage for V4 {}

impl From<V2> for V3 {
    fn from(old: V2) -> Self {
        Self {
            cents: old.euros * 100,
        }
    }
}

impl From<V3> for V4 {
    fn from(old: V3) -> Self {
        Self {
            cents: old.cents,
            currency: "EUR".into(),
        }
    }
}

/// Reads from version 2 on, by patches alone.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Patched {
    total: u64,
    lines: Vec<String>,
}

impl Message for Patched {
    const TYPE: MessageType = version(4);

    fn older() -> Older<Self> {
        static PATCHES: Patches = Patches::new(&[
            (2, r#"[{"op":"move","from":"/sum","path":"/total"}]"#),
            (3, r#"[{"op":"add","path":"/lines","value":[]}]"#),
        ]);
        Older::patched(&PATCHES)
    }
}

fn read<M: Message>(version: u32, data: &Value) -> Result<M, DecodeError> {
    let data = to_raw_value(data).unwrap();
    Encoded {
        kind: Kind::Event,
        name: NAME,
        key: None,
        version,
        binary: None,
        data: &data,
    }
    .decode()
}

#[test]
fn each_version_is_read_through_those_between() {
    let euros = V4 {
        cents: 700,
        currency: "EUR".into(),
    };
    assert_eq!(read::<V4>(1, &json!({"sum": 7})).unwrap(), euros);
    assert_eq!(read::<V4>(2, &json!({"euros": 7})).unwrap(), euros);
    assert_eq!(read::<V4>(3, &json!({"cents": 700})).unwrap(), euros);
    let dollars = json!({"cents": 700, "currency": "USD"});
    assert_eq!(read::<V4>(4, &dollars).unwrap().currency, "USD");
}

#[test]
fn patches_begin_at_the_version_that_came() {
    let total = |lines: &[&str]| Patched {
        total: 7,
        lines: lines.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(read::<Patched>(2, &json!({"sum": 7})).unwrap(), total(&[]));
    assert_eq!(read::<Patched>(3, &json!({"total": 7})).unwrap(), total(&[]));
    let newest = json!({"total": 7, "lines": ["a"]});
    assert_eq!(read::<Patched>(4, &newest).unwrap(), total(&["a"]));
}

#[test]
fn what_no_declaration_reaches_says_which_line_is_missing() {
    let error = read::<Patched>(1, &json!({})).unwrap_err();
    assert_eq!(error.class(), "incompatible");
    let text = error.to_string();
    assert!(
        text.contains("is version 1 and this service reads it from version 2 on"),
        "{text}"
    );
    assert!(text.contains("`patch(1 = …)`"), "{text}");
    let newer = read::<V4>(5, &json!({})).unwrap_err();
    assert_eq!(newer.class(), "incompatible");
    assert!(newer.to_string().contains("upgrade the service"), "{newer}");
}

#[test]
fn data_that_its_patch_does_not_fit_is_invalid_and_stays_unseen() {
    let error = read::<Patched>(2, &json!({"hunter2": 7})).unwrap_err();
    assert_eq!(error.class(), "invalid");
    let text = error.to_string();
    assert!(
        text.contains("in version 2 cannot be patched to version 3"),
        "{text}"
    );
    assert!(text.contains("/total") && !text.contains("hunter2"), "{text}");
    let error = read::<V4>(1, &json!({"sum": "hunter2"})).unwrap_err();
    assert_eq!(error.class(), "invalid");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

/// Of two readers one may take the first and the other the last.
#[test]
fn a_name_that_stands_twice_is_refused_before_a_patch() {
    let data = serde_json::value::RawValue::from_string(r#"{"sum":1,"sum":2}"#.into()).unwrap();
    let (kind, name, key) = (Kind::Event, NAME, None);
    let encoded = Encoded {
        kind,
        name,
        key,
        version: 2,
        binary: None,
        data: &data,
    };
    assert_eq!(encoded.decode::<Patched>().unwrap_err().class(), "invalid");
}

#[test]
fn a_patch_that_is_none_is_said_and_panics_nowhere() {
    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    struct Broken {}
    impl Message for Broken {
        const TYPE: MessageType = version(2);
        fn older() -> Older<Self> {
            static PATCHES: Patches = Patches::new(&[(1, "[{}]")]);
            Older::patched(&PATCHES)
        }
    }
    let text = read::<Broken>(1, &json!({})).unwrap_err().to_string();
    assert!(text.contains("no JSON patch"), "{text}");
}

#[test]
fn a_manifest_lists_every_version_that_is_read() {
    let (_, manifest) = V4::manifest().remove(0);
    assert_eq!(manifest.versions(), [1, 2, 3, 4]);
    let older = serde_json::to_value(&manifest.older).unwrap();
    assert_eq!(older[0]["patch"][0]["op"], "move");
    assert_eq!(older[1]["schema"]["properties"]["euros"]["type"], "integer");
    assert_eq!(
        serde_json::from_value::<Vec<crate::OlderManifest>>(older).unwrap(),
        manifest.older
    );
}

proptest! {
    #[test]
    fn a_chain_is_its_steps(euros in 0..u64::MAX / 100) {
        let by_steps = V4::from(V3::from(V2 { euros }));
        prop_assert_eq!(read::<V4>(2, &json!({"euros": euros})).unwrap(), by_steps);
    }
}
