use proptest::{collection::btree_map, prelude::*};
use serde_json::json;
use tidewire::{Kind, MessageManifest};

use super::*;

fn manifest() -> Manifest {
    serde_json::from_value(json!({
        "service": "payments", "version": "1.0.0", "contract": "1",
        "contexts": [{"name": "orders.payments", "stream": "ORDERS__PAYMENTS", "subjects": ["orders.payments.payment.processed.*"], "settings": {}}],
        "handlers": [
            {"name": "orders.payments.payment.get", "takes": ["orders.payments.payment.get"], "emits": [], "asks": [],
             "transport": {"request": {"kind": "query", "subject": "orders.payments.payment.get.*"}}},
            {"name": "ship", "takes": [], "emits": [], "asks": [],
             "transport": {"durable": {"consumer": "payments__ship", "filters": ["a.b.c"], "start": "beginning", "concurrency": 8}}}
        ],
        "publishes": [], "asks": [],
        "messages": {"orders.payments.payment.get":
            {"kind": "query", "version": 1, "keyed": true, "schema": {"required": ["payment_id"]}, "reply": {}}}
    }))
    .unwrap()
}

fn message(schema: Value) -> MessageManifest {
    MessageManifest {
        entity: None,
        kind: Kind::Event,
        version: 1,
        keyed: false,
        codec: None,
        schema,
        older: Vec::new(),
        reply: None,
    }
}

#[test]
fn another_order_of_handlers_is_no_difference() {
    let (before, mut after) = (manifest(), manifest());
    after.handlers.reverse();
    assert_eq!(diff(&before, &after), []);
}

#[test]
fn what_was_added_removed_and_changed_is_named() {
    let (before, mut after) = (manifest(), manifest());
    after.version = "1.1.0".into();
    after.handlers.remove(0);
    after.messages.insert("a.b.c".into(), message(json!({})));
    if let Some(query) = after.messages.get_mut("orders.payments.payment.get") {
        query.schema = json!({"required": ["payment_id", "at"]});
    }
    let found: Vec<_> = diff(&before, &after)
        .into_iter()
        .map(|difference| serde_json::to_value(difference).unwrap())
        .collect();
    assert_eq!(
        Value::from(found),
        json!([
            {"section": "service", "name": "payments", "change": "changed",
             "fields": [{"path": "/version", "before": "1.0.0", "after": "1.1.0"}]},
            {"section": "handler", "name": "query orders.payments.payment.get", "change": "removed"},
            {"section": "message", "name": "a.b.c", "change": "added"},
            {"section": "message", "name": "orders.payments.payment.get", "change": "changed",
             "fields": [{"path": "/schema/required", "before": ["payment_id"], "after": ["payment_id", "at"]}]},
        ])
    );
}

#[test]
fn one_of_two_live_handlers_of_an_event_that_goes_is_seen() {
    let live = json!({"name": "a.b.c", "takes": [], "emits": [], "asks": [],
                      "transport": {"live": {"filters": ["a.b.c"], "queue_group": null}}});
    let handler = || serde_json::from_value::<HandlerManifest>(live.clone()).unwrap();
    let (mut before, mut after) = (manifest(), manifest());
    before.handlers.extend([handler(), handler()]);
    after.handlers.push(handler());
    let found = diff(&before, &after);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].name.as_str(), &found[0].change),
        ("live a.b.c (2)", &Change::Removed)
    );
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        "[a-z/~]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z/~]{1,2}", inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// What a report says, done to the first manifest.
fn apply(schema: &mut Value, change: &FieldChange) {
    let Some((parent, name)) = change.path.rsplit_once('/') else {
        *schema = change.after.clone().unwrap();
        return;
    };
    match schema.pointer_mut(parent).unwrap() {
        Value::Object(members) => {
            let name = name.replace("~1", "/").replace("~0", "~");
            match &change.after {
                Some(after) => drop(members.insert(name, after.clone())),
                None => drop(members.remove(&name)),
            }
        }
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = change.after.clone().unwrap(),
        _ => unreachable!("a pointer goes through objects and lists"),
    }
}

proptest! {
    #[test]
    fn what_is_said_to_have_changed_makes_the_second_of_the_first(one in schema(), other in schema()) {
        let mut found = Vec::new();
        compare("", Some(&one), Some(&other), &mut found);
        prop_assert_eq!(found.is_empty(), one == other);
        let mut made = one;
        for change in &found {
            apply(&mut made, change);
        }
        prop_assert_eq!(made, other);
    }
}

#[test]
fn what_is_sent_as_a_durable_command_is_a_difference_and_older_manifests_have_none() {
    let (before, mut after) = (manifest(), manifest());
    let json = serde_json::to_string(&before).unwrap();
    assert!(
        !json.contains("\"sends\"") && !json.contains("\"queue\""),
        "{json}"
    );
    after.sends.push("orders.shipping.parcel.book".into());
    after.handlers[1].sends.push("orders.shipping.parcel.book".into());
    after.contexts[0]
        .queue
        .push("queue.orders.payments.payment.process.*".into());
    let found: Vec<_> = diff(&before, &after)
        .into_iter()
        .map(|difference| match difference.change {
            Change::Changed { fields } => (difference.section, fields[0].path.clone()),
            other => panic!("expected a change, got {other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            (Section::Service, "/sends".to_owned()),
            (Section::Context, "/queue".to_owned()),
            (Section::Handler, "/sends".to_owned()),
        ]
    );
}
