//! Large messages: refused in time, compressed, or with their data in the object store.

mod claims;

use std::{fmt::Write, time::Duration};

use tidewire::{
    PublishError, Running,
    async_nats::{
        Client, HeaderMap,
        jetstream::{message::StreamMessage, stream::RawMessageErrorKind},
    },
    prelude::*,
};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, jetstream, kept_reach, note, payments, server,
};

/// A text that no compression makes much smaller.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(text, "{state:016x}").unwrap();
    }
    text.truncate(length);
    text
}

pub(crate) fn noted(payment_id: &str, note: String) -> PaymentProcessed {
    PaymentProcessed {
        payment_id: payment_id.into(),
        note,
    }
}

/// Notes the key of every payment, and the length of its note.
pub(crate) async fn measure(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    let whole = paid.note == noise(paid.note.len()) || paid.note == "z".repeat(paid.note.len());
    seen.note(format!("{} {} {whole}", paid.payment_id, paid.note.len()));
}

pub(crate) fn reader(seen: &Seen) -> Service<Seen> {
    let retry = Retry::fixed(Duration::from_millis(50)).max_attempts(u32::MAX);
    Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("measure", measure).retry(retry))
}

pub(crate) async fn stored(client: &Client, sequence: u64) -> StreamMessage {
    let stream = jetstream(client).get_stream(PAYMENTS).await.unwrap();
    stream.get_raw_message(sequence).await.unwrap()
}

/// The payments, of which large ones are compressed.
async fn compressing(client: &Client) -> Running {
    let payments = payments().compress_above(1000);
    payments.start(client.clone()).await.unwrap()
}

/// Stores a message that a program without Tidewire sends.
pub(crate) async fn send(client: &Client, key: &str, headers: &[(&'static str, &str)], body: Vec<u8>) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    let subject = format!("orders.payments.payment.processed.{key}");
    let js = jetstream(client);
    let sent = js.publish_with_headers(subject, map, body.into());
    sent.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent_and_the_line_to_add_is_named() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let error = payments.bus().publish(&noted("p", noise(2 << 20))).await;
    let error = error.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error}");
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.contains("1048576"), "{text}");
    assert!(text.contains(".claim_check_above("), "{text}");
    assert!(text.contains(".compress_above("), "{text}");
    assert_eq!(
        client
            .statistics()
            .connects
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let error = stream.get_raw_message(1).await.unwrap_err();
    assert_eq!(error.kind(), RawMessageErrorKind::NoMessageFound);
}

#[tokio::test]
async fn what_is_large_is_compressed_and_what_is_small_is_not() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = compressing(&client).await;
    let _reader = reader(&seen).start(client.clone()).await.unwrap();
    // Two MiB, which the server would not take as they are.
    let notes = ["z".repeat(100), "z".repeat(2 << 20)];
    for (key, note) in ["small", "large"].into_iter().zip(notes) {
        payments.bus().publish(&noted(key, note)).await.unwrap();
    }
    seen.reaches(2).await;
    assert_eq!(seen.sorted(), ["large 2097152 true", "small 100 true"]);
    let (small, large) = (stored(&client, 1).await, stored(&client, 2).await);
    assert!(small.headers.get("Content-Encoding").is_none());
    assert_eq!(large.headers.get("Content-Encoding").unwrap().as_str(), "zstd");
    assert!(large.payload.len() < 2000, "{}", large.payload.len());
}

/// An envelope is smaller than a KiB.
#[tokio::test]
async fn a_body_may_have_sixteen_mebibytes_where_nothing_else_is_said() {
    const LIMIT: usize = 16 << 20;
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = compressing(&client).await;
    let _reader = reader(&seen).start(client.clone()).await.unwrap();
    for (key, length) in [("above", LIMIT), ("below", LIMIT - 1024)] {
        let payment = noted(key, "z".repeat(length));
        payments.bus().publish(&payment).await.unwrap();
    }
    seen.reaches(1).await;
    let letters = kept_reach(&client, 1).await;
    assert_eq!(seen.all(), [format!("below {} true", LIMIT - 1024)]);
    assert_eq!(letters[0].record.trouble.as_ref().unwrap().class, "too_large");
}

#[tokio::test]
async fn an_encoding_that_nobody_undoes_is_incompatible() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let _reader = reader(&seen).start(client.clone()).await.unwrap();
    send(&client, "p", &[("content-encoding", "gzip")], b"x".to_vec()).await;
    let letters = kept_reach(&client, 1).await;
    let trouble = letters[0].record.trouble.as_ref().unwrap();
    assert_eq!((&*trouble.class, trouble.attempts), ("incompatible", 1));
    assert!(trouble.error.contains("`gzip`"), "{}", trouble.error);
}

/// Bytes are for whoever wants bytes.
#[tokio::test]
async fn a_raw_handler_takes_a_packed_message_as_it_came() {
    async fn keep(State(seen): State<Seen>, raw: tidewire::extract::Raw) {
        let encoding = raw.header("Content-Encoding").unwrap_or_default();
        seen.note(format!("{encoding} {:?}", raw.payload));
    }
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let service = Service::new("archive", "1.0.0").state(seen.clone());
    let service = service.on(durable("keep", keep).filter("orders.payments.>"));
    let _archive = service.start(client.clone()).await.unwrap();
    send(&client, "p", &[("Content-Encoding", "gzip")], b"x".to_vec()).await;
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), [r#"gzip b"x""#]);
}

#[tokio::test]
async fn a_compressed_message_is_handled_live_as_well() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = compressing(&client).await;
    let service = Service::new("shipping", "1.0.0").state(seen.clone());
    let _live = service.on(live(note)).start(client.clone()).await.unwrap();
    payments
        .bus()
        .publish(&noted("p", "z".repeat(5000)))
        .await
        .unwrap();
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), ["p"]);
}
