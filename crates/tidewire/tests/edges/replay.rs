//! A dead letter that is sent to its handler again, as `tidewire dlq replay` does it.

use std::borrow::Cow;

use bytes::Bytes;
use tidewire::{
    Connection,
    async_nats::{HeaderMap, HeaderName, HeaderValue},
    dead_letter::{Act, Record},
    wire,
};

use crate::poison::Letter;

/// A record that says so, and a copy for the handler alone.
pub(crate) async fn replay(nats: &Connection, letter: &Letter, service: &str, durable: &str) {
    let most = nats.client().max_payload();
    let record = Record {
        act: Act::Replayed,
        by: "a test".into(),
        trouble: None,
        original: None,
        reason: None,
        service_version: None,
        ..letter.record.clone()
    };
    let written = record.write(most);
    let recorded = store(nats, letter.subject.clone(), written.headers, written.body).await;
    let id = letter.subject.rsplit('.').next().unwrap();
    let trouble = letter.record.trouble.as_ref().unwrap();
    let beside = vec![
        (wire::TW_LETTER.into(), id.to_owned()),
        (wire::TW_RECORD.into(), recorded.to_string()),
        (wire::TW_ATTEMPTS.into(), trouble.attempts.to_string()),
        (wire::TW_FIRST_FAILED.into(), trouble.first_failed.to_string()),
        (wire::TTL.into(), "3600s".to_owned()),
    ];
    let copy = letter.record.original.as_ref().unwrap().wrap(beside, "", most);
    let subject = wire::retry_subject(service, durable, id);
    store(nats, subject, copy.headers, copy.body).await;
}

async fn store(
    nats: &Connection,
    subject: String,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Bytes,
) -> u64 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let (name, value) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        map.append(name.unwrap(), value.unwrap());
    }
    let sent = nats.jetstream().publish_with_headers(subject, map, body).await;
    sent.unwrap().await.unwrap().sequence
}
