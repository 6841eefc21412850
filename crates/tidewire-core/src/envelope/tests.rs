use proptest::prelude::*;

use super::*;

fn decode(subject: &str, body: &str) -> Result<Envelope, DecodeError> {
    Envelope::decode(
        subject,
        std::iter::empty(),
        body.as_bytes(),
        NOON.parse().unwrap(),
    )
}

const NOON: &str = "2026-03-20T12:00:00Z";

const FIVE_FIELDS: &str = r#"{"type":"event","id":"evt_123","timestamp":"2024-03-20T10:00:00Z",
    "data":{"amount":5},"metadata":{"user":"ann"}}"#;

#[test]
fn five_fields_are_enough() {
    let envelope = decode("orders.payments.process", FIVE_FIELDS).unwrap();
    assert_eq!(envelope.id.as_str(), "evt_123");
    assert_eq!(envelope.encoded().version, 1);
    assert_eq!(envelope.encoded().name, "orders.payments.process");
    assert_eq!(envelope.correlation_id(), "evt_123");
    assert_eq!(envelope.metadata.entries["user"], "ann");
}

#[test]
fn the_subject_wins_over_the_metadata() {
    let body = r#"{"type":"event","id":"e","timestamp":"2024-03-20T10:00:00Z","data":1,
        "metadata":{"name":"orders.payments.payment.refunded"}}"#;
    let error = decode("orders.payments.payment.processed.p-1", body).unwrap_err();
    assert_eq!(error.class(), "malformed");
    assert!(
        error.to_string().contains("orders.payments.payment.refunded"),
        "{error}"
    );
}

#[test]
fn an_unknown_type_is_malformed() {
    let error = decode("a.b.c", &FIVE_FIELDS.replace("event", "rumour")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("one of `event`, `command`") && !text.contains("rumour"),
        "{text}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let error = decode(
        "a.b.c",
        r#"{"type":"event","timestamp":"2024-03-20T10:00:00Z","data":1}"#,
    )
    .unwrap_err();
    assert!(error.to_string().contains("`id`"), "{error}");
    let error = decode("a.b.c", &FIVE_FIELDS.replace("evt_123", "")).unwrap_err();
    assert!(matches!(error, DecodeError::EmptyId), "{error}");
}

#[test]
fn the_key_is_unescaped() {
    let envelope = decode("orders.payments.payment.processed.a=2Eb", FIVE_FIELDS).unwrap();
    assert_eq!(envelope.encoded().key, Some("a.b"));
}

#[test]
fn a_name_that_stands_twice_is_malformed() {
    for (once, twice) in [
        (r#""id":"evt_123""#, r#""id":"evt_123","id":"evt_124""#),
        (r#""user":"ann""#, r#""user":"ann","user":"bob""#),
    ] {
        let error = decode("a.b.c", &FIVE_FIELDS.replace(once, twice)).unwrap_err();
        assert_eq!(error.class(), "malformed", "{error}");
    }
}

#[test]
fn no_error_shows_what_was_in_the_body() {
    for (was, is) in [
        ("event", "canary"),
        ("2024-03-20T10:00:00Z", "canary"),
        (r#""user":"ann""#, r#""name":"canary""#),
        (r#"{"user":"ann"}"#, r#""canary""#),
        (r#""evt_123""#, r#"["canary"]"#),
    ] {
        let error = decode("a.b.c", &FIVE_FIELDS.replace(was, is)).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

proptest! {
    #[test]
    fn no_input_panics(subject in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Envelope::decode(&subject, std::iter::empty(), &body, NOON.parse().unwrap()));
    }

    #[test]
    fn no_json_panics(field in "[a-z]{1,9}", text in ".{0,20}") {
        let body = serde_json::json!({"type": text, "id": text, "timestamp": text, "data": {field: text}});
        drop(decode("a.b.c", &body.to_string()));
    }
}

fn queued(subject: &str, real: Option<&str>) -> Result<Envelope, DecodeError> {
    let body = FIVE_FIELDS.replace("\"event\"", "\"command\"");
    let headers = real.map(|real| ("tw-subject", real));
    Envelope::decode(
        subject,
        headers.into_iter(),
        body.as_bytes(),
        NOON.parse().unwrap(),
    )
}

#[test]
fn a_queued_command_is_read_by_its_own_subject() {
    let process = "orders.payments.payment.process.p=2E1";
    for real in [None, Some(process)] {
        let envelope = queued(&format!("queue.{process}"), real).unwrap();
        assert_eq!(envelope.subject.as_str(), process);
        assert_eq!(envelope.encoded().name, "orders.payments.payment.process");
        assert_eq!(envelope.encoded().key, Some("p.1"));
    }
}

/// Permissions are given by subject: who may queue one command must not be able to queue another under its name.
#[test]
fn a_queued_command_cannot_pass_for_another() {
    let queue = "queue.orders.payments.payment.refund.p";
    let error = queued(queue, Some("orders.payments.payment.process.p")).unwrap_err();
    assert_eq!(error.class(), "malformed");
    // Nor does the name in its metadata help.
    let body = FIVE_FIELDS.replace(r#""user":"ann""#, r#""name":"orders.payments.payment.process""#);
    let read = Envelope::decode(queue, std::iter::empty(), body.as_bytes(), NOON.parse().unwrap());
    assert!(matches!(read, Err(DecodeError::NameMismatch { .. })));
    // What is queued must be a message of ours: no prefix stands before a prefix.
    let twice = queued("queue.queue.orders.payments.process", None).unwrap_err();
    assert!(matches!(twice, DecodeError::Subject(_)), "{twice}");
}

#[test]
fn a_parked_message_is_read_by_its_header() {
    let process = "orders.payments.payment.process.p";
    let envelope = queued("retry.payments.charge.l-1", Some(process)).unwrap();
    assert_eq!(envelope.subject.as_str(), process);
    assert!(matches!(
        queued("retry.payments.charge.l-1", None),
        Err(DecodeError::NoRealSubject { prefix: "retry." })
    ));
}
