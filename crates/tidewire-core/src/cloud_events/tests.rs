use proptest::prelude::*;
use serde_json::{Value, json};
use tidewire_subject::{Key, MessageName, Subject};

use crate::{
    DecodeError, Envelope, Extras, Format, Kind, MessageId, Outgoing, Stamp, Timestamp, TraceContext,
};

const NOON: &str = "2026-03-20T12:00:00Z";

fn noon() -> Timestamp {
    NOON.parse().unwrap()
}

fn write(format: Format, id: &str, key: &str, data: &Value) -> Outgoing {
    let stamp = Stamp {
        id: MessageId::from_text(id).unwrap(),
        timestamp: "2026-03-20T10:00:00.5Z".parse().unwrap(),
        source: "payments".into(),
        correlation_id: Some("cmd_1".into()),
        causation_id: None,
        trace: TraceContext::default(),
        format,
    };
    let name = MessageName::parse("orders.payments.payment.processed").unwrap();
    let subject = Subject::new(&name, Some(Key::new(key).unwrap())).unwrap();
    Outgoing::write(
        Kind::Event,
        subject,
        2,
        Some(key.into()),
        data,
        stamp,
        Extras::default(),
    )
    .unwrap()
}

fn read(subject: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Envelope, DecodeError> {
    Envelope::decode(subject, headers.iter().copied(), body, noon())
}

fn read_back(outgoing: &Outgoing) -> Envelope {
    let headers: Vec<_> = outgoing
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.as_str()))
        .collect();
    read(outgoing.subject.as_str(), &headers, &outgoing.body).unwrap()
}

proptest! {
    #[test]
    fn every_format_comes_back_as_it_was(id in "\\PC{1,20}", key in "\\PC{1,8}", text in ".{0,20}") {
        for format in [Format::Tidewire, Format::CloudEventsBinary, Format::CloudEventsStructured] {
            let data = json!({"text": text, "n": 2.5});
            let back = read_back(&write(format, &id, &key, &data));
            prop_assert_eq!(back.id.as_str(), &id);
            prop_assert_eq!(back.kind, Kind::Event);
            prop_assert_eq!(back.encoded().version, 2);
            prop_assert_eq!(back.encoded().key, Some(key.as_str()));
            prop_assert_eq!(back.metadata.key.as_deref(), Some(key.as_str()));
            prop_assert_eq!(back.correlation_id(), "cmd_1");
            prop_assert_eq!(back.metadata.source.as_deref(), Some("payments"));
            prop_assert_eq!(back.timestamp.to_string(), "2026-03-20T10:00:00.500000Z");
            prop_assert_eq!(serde_json::from_str::<Value>(back.encoded().data.get()).unwrap(), data);
        }
    }

    #[test]
    fn no_header_and_no_body_panics(name in "[cC][eE]-[a-z]{0,12}", value in ".{0,30}", body in ".{0,60}") {
        let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), (&*name, &*value), ("Content-Type", &*value)];
        drop(read("a.b.c", &headers, body.as_bytes()));
        drop(read("a.b.c", &[("content-type", "application/cloudevents+json")], body.as_bytes()));
    }
}

#[test]
fn binary_mode_is_the_bindings() {
    let outgoing = write(Format::CloudEventsBinary, "evt 1", "é", &json!({"a": 1}));
    let header = |name: &str| {
        let found = outgoing.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("ce-specversion"), Some("1.0"));
    assert_eq!(header("ce-id"), Some("evt%201"));
    assert_eq!(header("ce-type"), Some("orders.payments.payment.processed"));
    assert_eq!(header("ce-subject"), Some("%C3%A9"));
    assert_eq!(header("ce-twkind"), Some("event"));
    assert_eq!(header("Content-Type"), Some("application/json"));
    assert_eq!(header("ce-datacontenttype"), Some("application/json"));
    assert_eq!(&*outgoing.body, br#"{"a":1}"#);
}

#[test]
fn structured_mode_is_the_json_format() {
    let outgoing = write(Format::CloudEventsStructured, "evt_1", "k", &json!({"a": 1}));
    let body: Value = serde_json::from_slice(&outgoing.body).unwrap();
    assert_eq!(
        (&body["specversion"], &body["data"]),
        (&"1.0".into(), &json!({"a": 1}))
    );
    assert_eq!(
        (&body["subject"], &body["datacontenttype"]),
        (&"k".into(), &"application/json".into())
    );
}

/// What other producers leave out, and what they add.
#[test]
fn a_foreign_event_needs_four_attributes() {
    let subject = "orders.payments.payment.processed.k";
    let body = br#"{"specversion":"1.0","id":"1","source":"/till","type":"orders.payments.payment.processed",
        "data":{"a":1},"myextension":7}"#;
    let headers = [("content-type", "application/cloudevents+json; charset=utf-8")];
    let event = read(subject, &headers, body).unwrap();
    assert_eq!((event.kind, event.timestamp), (Kind::Event, noon()));
    assert_eq!(event.metadata.entries["myextension"], "7");
    let headers = [
        ("CE-SpecVersion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/till"),
        ("ce-type", "x.y.z"),
    ];
    assert!(matches!(
        read(subject, &headers, b"{}"),
        Err(DecodeError::NameMismatch { .. })
    ));
    let error = read(subject, &headers[..3], b"{}").unwrap_err();
    assert!(
        error.to_string().contains("the attribute `type` is missing"),
        "{error}"
    );
    let headers = [
        ("ce-specversion", "0.3"),
        ("ce-id", "1"),
        ("ce-source", "/"),
        ("ce-type", "a.b.c"),
    ];
    let error = read("a.b.c", &headers, b"{}").unwrap_err();
    assert!(
        error.to_string().contains("specversion is not 1.0") && error.class() == "malformed",
        "{error}"
    );
}

#[test]
fn data_that_is_not_json_is_refused_by_name() {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/"),
        ("ce-type", "a.b.c"),
        ("content-type", "text/plain"),
    ];
    let error = read("a.b.c", &headers, b"hello").unwrap_err();
    assert!(error.to_string().contains("text/plain"), "{error}");
}

#[test]
fn an_attribute_that_stands_twice_is_refused() {
    let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("CE-ID", "2")];
    let error = read("a.b.c", &headers, b"{}").unwrap_err();
    assert!(error.to_string().contains("`ce-id` stands twice"), "{error}");
    let headers = [("content-type", "application/cloudevents+json")];
    let body = br#"{"specversion":"1.0","id":"1","source":"/till","type":"a.b.c","id":"2"}"#;
    let error = read("a.b.c", &headers, body).unwrap_err();
    assert!(
        error.to_string().contains("each name stands once") && error.class() == "malformed",
        "{error}"
    );
}

/// Where the binding for NATS is not that for HTTP, and what older ones wrote.
#[test]
fn what_the_nats_binding_allows_is_read() {
    let body = br#"{"specversion":"1.0","id":"1","source":"/till","type":"a.b.c","data":{"a":1}}"#;
    for headers in [&[][..], &[("Content-Type", "application/cloudevents")]] {
        let event = read("a.b.c", headers, body).unwrap();
        assert_eq!(event.encoded().data.get(), r#"{"a":1}"#);
    }
    let headers = |name, value| {
        let required = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/"),
            ("ce-type", "a.b.c"),
        ];
        [&required[..], &[(name, value)]].concat()
    };
    let event = read("a.b.c", &headers("ce-mood", r#""very \"good\"%21""#), b"{}").unwrap();
    assert_eq!(event.metadata.entries["mood"], r#"very "good"!"#);
    for (name, value, says) in [
        ("ce-mood", "%C0%A0", "`ce-mood` is no UTF-8"),
        ("ce-datacontenttype", "text/plain", "text/plain"),
    ] {
        let error = read("a.b.c", &headers(name, value), b"{}").unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
