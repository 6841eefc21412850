//! Messages that a handler does not take, and that reach its consumer all the same.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Any,
    async_nats::{Client, jetstream::stream},
    prelude::*,
};

use crate::support::{
    Kept, Seen, connect, jetstream, kept_reach,
    log::{self, lines_of},
    quiet, server,
};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bad.outside.tank.filled", key = tank)]
struct Filled {
    tank: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bad.outside.tank.emptied", key = tank)]
struct Emptied {
    tank: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bad.outside.tank.burst", key = tank)]
struct Burst {
    tank: String,
}

#[derive(EventSet)]
enum Level {
    Filled(Filled),
    Emptied(Emptied),
}

async fn one(State(seen): State<Seen>, Event(filled): Event<Filled>) {
    seen.note(format!("one {}", filled.tank));
}

async fn set(State(seen): State<Seen>, Event(level): Event<Level>) {
    seen.note(match level {
        Level::Filled(filled) => format!("set {}", filled.tank),
        Level::Emptied(emptied) => format!("set {}", emptied.tank),
    });
}

async fn any(State(seen): State<Seen>, Event(any): Event<Any>) {
    seen.note(any.name);
}

/// As an operator may do it while the service runs; its start refuses a consumer with such a filter.
async fn widen(client: &Client, stream: &str, consumer: &str, filter: &str) {
    let stream = jetstream(client).get_stream(stream).await.unwrap();
    let mut config = stream.consumer_info(consumer).await.unwrap().config;
    config.filter_subject = String::new();
    config.filter_subjects = vec![filter.to_owned()];
    stream.update_consumer(config).await.unwrap();
}

/// The consumer, the class and the text of each letter.
fn told(letters: &[Kept]) -> Vec<(String, String, String)> {
    let mut told: Vec<_> = letters
        .iter()
        .map(|letter| {
            let trouble = letter.record.trouble.as_ref().unwrap();
            assert_eq!(trouble.attempts, 1);
            let consumer = letter.record.consumer.clone();
            (consumer, trouble.class.clone(), trouble.error.clone())
        })
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn an_event_that_a_handler_does_not_take_is_a_dead_letter_and_no_silent_skip() {
    log::begin();
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let keeper = Service::new("outside-keeper", "1.0.0")
        .context(Context::new("bad.outside"))
        .publishes::<Filled>()
        .publishes::<Emptied>()
        .publishes::<Burst>();
    let keeper = keeper.start(client.clone()).await.unwrap();
    let reader = Service::new("outside", "1.0.0")
        .state(seen.clone())
        .on(durable("one", one))
        .on(durable("set", set));
    let reader = reader.start(client.clone()).await.unwrap();
    for consumer in ["outside__one", "outside__set"] {
        widen(&client, "BAD__OUTSIDE", consumer, "bad.outside.>").await;
    }
    let (bus, tank) = (keeper.bus(), || "t".to_owned());
    bus.publish(&Burst { tank: tank() }).await.unwrap();
    bus.publish(&Emptied { tank: tank() }).await.unwrap();
    bus.publish(&Filled { tank: tank() }).await.unwrap();
    seen.reaches(3).await;
    let letters = kept_reach(&client, 3).await;
    for consumer in ["outside__one", "outside__set"] {
        quiet(&client, "BAD__OUTSIDE", consumer).await;
    }
    assert_eq!(seen.sorted(), ["one t", "set t", "set t"]);
    let none_of = |name: &str, taken: &str| {
        format!("`bad.outside.tank.{name}` is none of the messages that the handler takes: {taken}")
    };
    let (filled, both) = (
        "`bad.outside.tank.filled`",
        "`bad.outside.tank.filled`, `bad.outside.tank.emptied`",
    );
    let letter = |consumer: &str, text| (consumer.to_owned(), "malformed".to_owned(), text);
    assert_eq!(
        told(&letters),
        [
            letter("outside__one", none_of("burst", filled)),
            letter("outside__one", none_of("emptied", filled)),
            letter("outside__set", none_of("burst", both)),
        ]
    );
    let (one, set) = (&reader.tally()["outside__one"], &reader.tally()["outside__set"]);
    assert_eq!(*one, BTreeMap::from([("handled", 1), ("malformed", 2)]));
    assert_eq!(*set, BTreeMap::from([("handled", 2), ("malformed", 1)]));
    let lines = lines_of("bad.outside.tank.burst.t\"");
    let named = lines.iter().filter(|line| line.contains("it cannot be handled"));
    assert_eq!(named.count(), 2, "{lines:?}");
}

/// What a wide filter of another program's stream brings need not be an event.
#[tokio::test]
async fn what_is_no_event_reaches_a_handler_of_any_event_as_a_dead_letter() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let config = stream::Config {
        name: "Wide-1".into(),
        subjects: vec!["bad.wide.>".into()],
        ..stream::Config::default()
    };
    let js = jetstream(&client);
    js.create_stream(config).await.unwrap();
    let wide = Service::new("wide", "1.0.0")
        .state(seen.clone())
        .on(durable("any", any).filter("bad.wide.>"));
    let wide = wide.start(client.clone()).await.unwrap();
    let body = |kind: &str| {
        format!(r#"{{"type":"{kind}","id":"x","timestamp":"2024-03-20T10:00:00Z","data":{{}}}}"#)
    };
    for (subject, kind) in [
        ("bad.wide.tank.fill", "command"),
        ("bad.wide.Tank.Filled", "event"),
        ("bad.wide.tank.filled", "event"),
    ] {
        let stored = js.publish(subject, body(kind).into());
        stored.await.unwrap().await.unwrap();
    }
    seen.reaches(1).await;
    let letters = kept_reach(&client, 2).await;
    quiet(&client, "Wide-1", "wide__any").await;
    let letters = told(&letters);
    for ((_, class, error), said) in letters.iter().zip([
        "`bad.wide.tank.fill` came with type `command`, and the handler takes type `event`",
        "the subject is not <domain>",
    ]) {
        assert!(class == "malformed" && error.contains(said), "{class}: {error}");
    }
    assert_eq!(
        wide.tally()["wide__any"],
        BTreeMap::from([("handled", 1), ("malformed", 2)])
    );
    assert_eq!(seen.sorted(), ["bad.wide.tank.filled"]);
}
