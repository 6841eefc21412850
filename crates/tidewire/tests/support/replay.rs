//! A dead letter that is given back to its handler, as `tidewire dlq replay` does it.

use std::borrow::Cow;

use tidewire::{
    async_nats::{Client, HeaderMap, HeaderName, HeaderValue, jetstream},
    dead_letter::{Act, Record},
    wire,
};

/// Stores a record that says so, and a copy for the handler alone; returns the sequence of the record.
pub(crate) async fn replay(
    client: &Client,
    subject: &str,
    letter: &Record,
    service: &str,
    durable: &str,
) -> u64 {
    let most = client.max_payload();
    let record = Record {
        act: Act::Replayed,
        by: "a test".into(),
        trouble: None,
        original: None,
        reason: None,
        service_version: None,
        ..letter.clone()
    };
    let sequence = keep(client, subject, &record).await;
    let id = subject.rsplit('.').next().unwrap();
    let trouble = letter.trouble.as_ref().unwrap();
    let mut beside = vec![
        (wire::TW_LETTER.into(), id.to_owned()),
        (wire::TW_RECORD.into(), sequence.to_string()),
        (wire::TW_ATTEMPTS.into(), trouble.attempts.to_string()),
        (wire::TW_FIRST_FAILED.into(), trouble.first_failed.to_string()),
        (wire::TTL.into(), "3600s".to_owned()),
    ];
    let parent = trouble.traceparent.clone();
    beside.extend(parent.map(|parent| (wire::TRACEPARENT.into(), parent)));
    let copy = letter.original.as_ref().unwrap().wrap(beside, "", most);
    store(
        client,
        wire::retry_subject(service, durable, id),
        copy.headers,
        copy.body,
    )
    .await;
    sequence
}

/// Stores another record of a letter, and returns its sequence.
pub(crate) async fn keep(client: &Client, subject: &str, record: &Record) -> u64 {
    let written = record.write(client.max_payload());
    store(client, subject.to_owned(), written.headers, written.body).await
}

async fn store(
    client: &Client,
    subject: String,
    headers: Vec<(Cow<'static, str>, String)>,
    body: bytes::Bytes,
) -> u64 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let (name, value) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        map.append(name.unwrap(), value.unwrap());
    }
    let js = jetstream::new(client.clone());
    let sent = js.publish_with_headers(subject, map, body).await;
    sent.unwrap().await.unwrap().sequence
}
