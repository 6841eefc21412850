//! Streams that others keep, with names that our grammar has not, and with readers of their own.

use std::time::Duration;

use futures_util::StreamExt;
use tidewire::{
    StartError,
    async_nats::{
        Client,
        jetstream::{
            consumer::{AckPolicy, Consumer, pull},
            stream,
        },
    },
    prelude::*,
};

use super::{note_json, note_raw, put};
use crate::support::{Seen, connect, consumer, jetstream, kept_reach, quiet, server};

const STREAM: &str = "Legacy-Data_2";

/// Subjects that no message of ours could have.
const ODD: [&str; 6] = [
    "Legacy-Data",
    "Legacy-Data.UPPER.lower.MiXed",
    "Legacy-Data.a=b.100%.{id}.$x",
    "Legacy-Data.ünï.日本",
    "Legacy-Data._INBOX.#1.@home",
    "Legacy-Data.2026-03-20T10:00:00Z.1/2",
];

async fn theirs(client: &Client) -> stream::Config {
    let config = stream::Config {
        name: STREAM.into(),
        subjects: vec!["Legacy-Data".into(), "Legacy-Data.>".into()],
        description: Some("kept by hand".into()),
        max_messages: 1000,
        ..stream::Config::default()
    };
    let made = jetstream(client).create_stream(config).await.unwrap();
    made.cached_info().config.clone()
}

/// A durable of another program, with two messages in hand and the rest to come.
async fn reader(client: &Client, name: &str) -> Consumer<pull::Config> {
    let config = pull::Config {
        durable_name: Some(name.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(600),
        description: Some("theirs".into()),
        ..pull::Config::default()
    };
    let stream = jetstream(client).get_stream(STREAM).await.unwrap();
    stream.create_consumer(config).await.unwrap()
}

async fn take(
    reader: &Consumer<pull::Config>,
    count: usize,
) -> Vec<tidewire::async_nats::jetstream::Message> {
    let batch = reader.fetch().max_messages(count);
    let messages = batch.messages().await.unwrap();
    messages.map(Result::unwrap).collect().await
}

#[tokio::test]
async fn a_stream_that_is_not_ours_is_read_beside_its_own_reader_and_neither_is_changed() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let config = theirs(&client).await;
    for subject in ODD {
        put(&client, subject, &[], b"\xff").await;
    }
    let reader = reader(&client, "Their-Reader").await;
    let in_hand = take(&reader, 2).await;
    let before = consumer(&client, STREAM, "Their-Reader").await;
    let bridge = Service::new("bridge", "1.0.0")
        .state(seen.clone())
        .on(durable("rest", note_raw).filter("Legacy-Data.>"))
        .on(durable("one", note_raw).filter("Legacy-Data"));
    let bridge = bridge.start(client.clone()).await.unwrap();
    seen.reaches(ODD.len()).await;
    for durable in ["bridge__rest", "bridge__one"] {
        quiet(&client, STREAM, durable).await;
    }
    let place = |(at, subject): (usize, &&str)| {
        let at = at + 1;
        format!(r#"{subject} None b"\xff" {STREAM}:{at} {STREAM}:{at}"#)
    };
    let mut expected: Vec<_> = ODD.iter().enumerate().map(place).collect();
    expected.sort();
    assert_eq!(seen.sorted(), expected);

    let after = consumer(&client, STREAM, "Their-Reader").await;
    assert_eq!(after.config, before.config);
    assert_eq!(
        (
            after.num_ack_pending,
            after.num_pending,
            after.delivered.stream_sequence
        ),
        (2, 4, 2),
        "its place is its own"
    );
    assert_eq!(take(&reader, 10).await.len(), 4);
    for message in in_hand {
        message.double_ack().await.unwrap();
    }
    bridge.stop().await.unwrap();
    let stream = jetstream(&client).get_stream(STREAM).await.unwrap();
    assert_eq!(stream.cached_info().config, config);
    assert_eq!(stream.cached_info().state.messages, 6);
}

/// What cannot be handled is known by where it lay, whatever its subject is called.
#[tokio::test]
async fn a_dead_letter_of_an_odd_subject_says_where_it_lay() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    theirs(&client).await;
    let bridge = Service::new("bridge", "1.0.0").state(seen.clone());
    let bridge = bridge.on(durable("json", note_json).filter("Legacy-Data.>"));
    let _bridge = bridge.start(client.clone()).await.unwrap();
    let odd = &ODD[1..];
    for subject in odd {
        put(&client, subject, &[("X-Mood", "bad")], b"{").await;
        put(&client, subject, &[], br#"{"celsius":1}"#).await;
    }
    seen.reaches(odd.len()).await;
    let letters = kept_reach(&client, odd.len()).await;
    quiet(&client, STREAM, "bridge__json").await;
    let mut places: Vec<_> = letters
        .iter()
        .map(|letter| {
            let original = letter.record.original.clone().unwrap();
            let trouble = letter.record.trouble.as_ref().unwrap();
            assert_eq!(
                (trouble.class.as_str(), &original.payload[..]),
                ("malformed", &b"{"[..])
            );
            assert!(letter.subject.starts_with("dlq.bridge.json."), "{letter:?}");
            (original.sequence, original.stream, original.subject)
        })
        .collect();
    places.sort();
    let lay = (1..).step_by(2).zip(odd);
    let expected: Vec<_> = lay
        .map(|(sequence, subject)| (sequence, STREAM.to_owned(), (*subject).to_owned()))
        .collect();
    assert_eq!(places, expected);
}

/// Whoever made it, it is not ours to take over.
#[tokio::test]
async fn a_consumer_of_our_name_that_is_not_ours_is_named_and_left_alone() {
    let server = server();
    let client = connect(&server).await;
    theirs(&client).await;
    put(&client, ODD[0], &[], b"1").await;
    reader(&client, "bridge__raw").await;
    let before = consumer(&client, STREAM, "bridge__raw").await;
    let bridge = Service::new("bridge", "1.0.0").state(Seen::default());
    let bridge = bridge.on(durable("raw", note_raw).filter("Legacy-Data.>"));
    let error = bridge.start(client.clone()).await.unwrap_err();
    assert!(matches!(error, StartError::ConsumerOwned { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(
            "the consumer bridge__raw of the stream Legacy-Data_2 belongs to a program that is not Tidewire"
        ),
        "{text}"
    );
    let after = consumer(&client, STREAM, "bridge__raw").await;
    assert_eq!(
        (after.config, after.delivered, after.num_pending),
        (before.config, before.delivered, before.num_pending)
    );
}

#[tokio::test]
async fn a_live_handler_hears_subjects_that_no_grammar_of_ours_allows() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let bridge = Service::new("bridge", "1.0.0").state(seen.clone());
    let bridge = bridge.on(live(note_raw).filter("Legacy-Data.>"));
    let _bridge = bridge.start(client.clone()).await.unwrap();
    for subject in &ODD[1..] {
        client.publish(*subject, "x".into()).await.unwrap();
    }
    seen.reaches(ODD.len() - 1).await;
    let mut expected: Vec<_> = ODD[1..]
        .iter()
        .map(|subject| format!(r#"{subject} None b"x" new "#))
        .collect();
    expected.sort();
    assert_eq!(seen.sorted(), expected);
}
