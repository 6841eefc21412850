//! Nine messages: eight that are wrong, and one that says nothing but what it has to say.

use std::collections::BTreeMap;

use super::{Bad, CANARY};
use crate::support::http::sum;

/// As many as these are sent; `kind` is the envelope's `type`.
pub(super) fn nine(kind: &str) -> Vec<Bad> {
    let head = format!(r#""type":"{kind}","id":"x","timestamp":"2024-03-20T10:00:00Z""#);
    let envelope = |data: &str, metadata: &str| format!(r#"{{{head},"data":{data},"metadata":{metadata}}}"#);
    let data = |amount: &str| format!(r#"{{"tank":"{CANARY}","amount":{amount}}}"#);
    let fits = data("1");
    let deep = "[".repeat(100_000);
    let deep_data = data(&format!("{deep}{}", "]".repeat(100_000)));
    let mut not_utf8 = envelope(&fits, "{}").into_bytes();
    let at = not_utf8.windows(6).position(|bytes| bytes == CANARY.as_bytes());
    not_utf8[at.unwrap() + 5] = 0xff;
    let mut all: Vec<_> = [
        (
            "no-metadata",
            "handled",
            "",
            format!(r#"{{{head},"data":{fits}}}"#),
        ),
        (
            "unknown-name",
            "malformed",
            "metadata.name is `bad.ways.tank.burst`",
            envelope(&fits, r#"{"name":"bad.ways.tank.burst"}"#),
        ),
        (
            "version-99",
            "incompatible",
            "is version 99 and this service knows up to 1",
            envelope(&fits, r#"{"version":99}"#),
        ),
        (
            "truncated",
            "malformed",
            "EOF while parsing a string",
            format!(r#"{{"type":"{kind}","id":"{CANARY}"#),
        ),
        ("deep", "malformed", "not an envelope", deep),
        (
            "deep-data",
            "invalid",
            "invalid type: sequence",
            envelope(&deep_data, "{}"),
        ),
        (
            "twice",
            "malformed",
            "duplicate field `id`",
            format!(r#"{{"id":"{CANARY}","id":"{CANARY}"}}"#),
        ),
        (
            "data-twice",
            "invalid",
            "duplicate field `amount`",
            envelope(&data(r#"1,"amount":2"#), "{}"),
        ),
        (
            "2-to-64",
            "invalid",
            "floating point, expected u64",
            envelope(&data("18446744073709551616"), "{}"),
        ),
        ("empty", "malformed", "EOF while parsing", String::new()),
    ]
    .into_iter()
    .map(|(key, class, said, body)| Bad {
        key,
        class,
        said,
        body: body.into_bytes(),
    })
    .collect();
    all.push(Bad {
        key: "utf-8",
        class: "malformed",
        said: "invalid unicode code point",
        body: not_utf8,
    });
    all
}

/// One that is as it should be.
pub(super) fn good(kind: &str) -> Vec<u8> {
    let head = format!(r#""type":"{kind}","id":"good","timestamp":"2024-03-20T10:00:00Z""#);
    format!(r#"{{{head},"data":{{"tank":"good","amount":2}}}}"#).into_bytes()
}

/// How many of them come to which end, where a good one follows each.
pub(super) fn by_class(all: &[Bad]) -> BTreeMap<&'static str, u32> {
    let mut count = BTreeMap::new();
    for Bad { class, .. } in all {
        *count.entry(*class).or_default() += 1;
        *count.entry("handled").or_default() += 1;
    }
    count
}

/// As `Running::tally` has it.
pub(super) fn tallied(by_class: &BTreeMap<&'static str, u32>) -> BTreeMap<&'static str, u64> {
    let counts = by_class.iter();
    counts.map(|(class, count)| (*class, u64::from(*count))).collect()
}

/// Each is counted by its class, under the message's own name and the handler's, and nothing else is.
pub(super) fn assert_metrics(
    figures: &BTreeMap<String, f64>,
    handler: &str,
    message: &str,
    by_class: &BTreeMap<&'static str, u32>,
) {
    let consumed = "messaging_client_consumed_messages_total{";
    let is = |expected: u32, parts: &[&str]| {
        let found = sum(figures, parts);
        assert!(
            (found - f64::from(expected)).abs() < 1e-6,
            "{parts:?}: {found}, not {expected}"
        );
    };
    let handler = format!("consumer=\"{handler}\"");
    let message = format!("message=\"{message}\"");
    for (class, count) in by_class {
        let end = match *class {
            "handled" => "outcome=\"handled\"".to_owned(),
            class => format!("error_class=\"{class}\""),
        };
        is(*count, &[consumed, &handler, &message, &end]);
    }
    is(by_class.values().sum(), &[consumed, &handler]);
}
