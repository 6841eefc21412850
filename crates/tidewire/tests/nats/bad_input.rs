//! What senders get wrong: each is told by its class and by name in the log, without its body, and the rest flows.

use std::{
    fmt::{self, Write},
    sync::{Mutex, MutexGuard, OnceLock},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{async_nats::HeaderMap, extract::Json, prelude::*};
use tracing::{
    Event as Traced, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::support::{Seen, connect, consumer, eventually, jetstream, server};

/// In every bad body, and in no line of the log.
const CANARY: &str = "canary";

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bad.input.reading.taken", key = station, version = 2)]
struct Taken {
    station: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "bad.input.reading.take")]
struct Take {
    amount: u64,
}

/// The lines of the whole process.
fn log() -> MutexGuard<'static, Vec<String>> {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Lines).unwrap());
    LINES.lock().unwrap()
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tidewire")
    }

    fn event(&self, event: &Traced<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        log().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn envelope(data: &str, metadata: &str) -> Vec<u8> {
    format!(r#"{{"type":"event","id":"x","timestamp":"2024-03-20T10:00:00Z","data":{data},"metadata":{metadata}}}"#)
        .into_bytes()
}

/// The key that tells the messages apart, the class, what the log says of it, and the body.
fn bad() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let canary = |text: &str| text.replace('?', CANARY);
    let fits = canary(r#"{"station":"?","amount":1}"#);
    let deep = "[".repeat(100_000);
    let mut invalid_utf8 = envelope(&fits, "{}");
    let at = invalid_utf8
        .windows(6)
        .position(|bytes| bytes == b"canary")
        .unwrap();
    invalid_utf8[at + 5] = 0xff;
    let text = |text: &str| canary(text).into_bytes();
    vec![
        ("empty", "malformed", "EOF while parsing", Vec::new()),
        ("not-json", "malformed", "expected value", text("?")),
        (
            "truncated",
            "malformed",
            "EOF while parsing a string",
            text(r#"{"type":"event","id":"?"#),
        ),
        ("utf-8", "malformed", "invalid unicode code point", invalid_utf8),
        ("deep", "malformed", "not an envelope", deep.clone().into_bytes()),
        (
            "deep-metadata",
            "malformed",
            "recursion limit",
            envelope(&fits, &format!(r#"{{"{CANARY}":{deep}"#)),
        ),
        ("deep-data", "invalid", "invalid type: sequence", {
            let data = format!(
                r#"{{"station":"{CANARY}","amount":{deep}{}}}"#,
                "]".repeat(100_000)
            );
            envelope(&data, "{}")
        }),
        (
            "kind",
            "malformed",
            "one of `event`",
            text(r#"{"type":"?","id":"?","timestamp":"?","data":1}"#),
        ),
        (
            "time",
            "malformed",
            "RFC 3339",
            text(r#"{"type":"event","id":"?","timestamp":"?","data":1}"#),
        ),
        (
            "no-data",
            "malformed",
            "missing field `data`",
            text(r#"{"type":"event","id":"?","timestamp":"?"}"#),
        ),
        (
            "field-twice",
            "malformed",
            "duplicate field `id`",
            text(r#"{"id":"?","id":"?"}"#),
        ),
        (
            "metadata-twice",
            "malformed",
            "each name stands once",
            envelope(&fits, &canary(r#"{"?":1,"?":2}"#)),
        ),
        (
            "other-name",
            "malformed",
            "orders.payments.process",
            envelope(&fits, r#"{"name":"orders.payments.process"}"#),
        ),
        (
            "no-name",
            "malformed",
            "metadata.name is no name",
            envelope(&fits, &canary(r#"{"name":"? ?"}"#)),
        ),
        (
            "version-99",
            "incompatible",
            "version 99",
            envelope(&fits, r#"{"version":99}"#),
        ),
        (
            "data-twice",
            "invalid",
            "duplicate field `amount`",
            envelope(&canary(r#"{"station":"?","amount":1,"amount":2}"#), "{}"),
        ),
        (
            "2-to-64",
            "invalid",
            "expected u64",
            envelope(&canary(r#"{"station":"?","amount":18446744073709551616}"#), "{}"),
        ),
        (
            "text",
            "invalid",
            "expected u64",
            envelope(&canary(r#"{"station":"?","amount":"?"}"#), "{}"),
        ),
    ]
}

async fn note(State(seen): State<Seen>, Event(taken): Event<Taken>) {
    seen.note(taken.station);
}

async fn take(Command(take): Command<Take>) {
    assert!(take.amount > 0);
}

async fn note_json(State(seen): State<Seen>, Json(_): Json<Taken>) {
    seen.note("json");
}

#[tokio::test]
async fn what_is_wrong_is_named_in_the_log_without_the_body_and_the_rest_flows() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    log().clear();
    let _running = Service::new("weather", "1.0.0")
        .state(seen.clone())
        .context(Context::new("bad.input"))
        .publishes::<Taken>()
        .on(durable("note", note))
        .on(live(note))
        .on(live(note_json).filter("bad.input.reading.taken.*"))
        .command(take)
        .start(client.clone())
        .await
        .unwrap();
    let js = jetstream(&client);
    let put = async |key: &str, body: Vec<u8>| {
        let subject = format!("bad.input.reading.taken.{key}");
        js.publish(subject, body.into()).await.unwrap().await.unwrap();
    };
    for (key, _, _, body) in bad() {
        put(key, body).await;
    }
    // A sender that knows a newer contract, and one that says nothing but what it has to say.
    let mut headers = HeaderMap::new();
    headers.append("Tw-Contract", "2");
    let fits = r#"{"station":"s","amount":1}"#;
    let subject = "bad.input.reading.taken.contract-2";
    let newer = js.publish_with_headers(subject, headers, envelope(fits, "{}").into());
    newer.await.unwrap().await.unwrap();
    let five = r#"{"type":"event","id":"x","timestamp":"2024-03-20T10:00:00Z","data":DATA}"#;
    put("no-metadata", five.replace("DATA", fits).into_bytes()).await;
    seen.reaches(2).await;
    assert_eq!(seen.sorted(), ["s", "s"], "from the stream and live");
    eventually("the others are kept", async || {
        let info = consumer(&client, "BAD__INPUT", "weather__note").await;
        info.num_ack_pending == bad().len() + 1 && info.num_pending == 0
    })
    .await;
    // The same as a request: the caller hears it, and it is counted.
    for (_, class, said, body) in bad()
        .into_iter()
        .filter(|(key, ..)| ["empty", "text"].contains(key))
    {
        let body = String::from_utf8(body).unwrap().replace("event", "command");
        let answer = client
            .request("bad.input.reading.take", body.into())
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["data"]["code"], class, "{answer}");
        let message = answer["data"]["message"].as_str().unwrap();
        assert!(message.contains(said) && !message.contains(CANARY), "{message}");
    }
    eventually("both are counted", async || {
        let stats = client.request("$SRV.STATS.weather", "".into()).await.unwrap();
        let stats: serde_json::Value = serde_json::from_slice(&stats.payload).unwrap();
        stats["endpoints"][0]["num_errors"] == 2
    })
    .await;

    let lines = log().clone();
    let of = |key: &str| -> Vec<_> {
        let subject = format!("subject=\"bad.input.reading.taken.{key}\"");
        lines.iter().filter(|line| line.contains(&subject)).collect()
    };
    for (key, class, said, _) in bad() {
        let kept = of(key).into_iter().find(|line| line.contains("it is kept"));
        let kept = kept.unwrap_or_else(|| panic!("no line of {key}"));
        assert!(
            kept.contains(&format!("class=\"{class}\"")) && kept.contains(said),
            "{key}: {kept}"
        );
        let heard = |line: &&String| line.contains(&format!("code={class}")) && line.contains("not handled");
        assert!(
            of(key).into_iter().any(|line| heard(&line)),
            "{key}: {:?}",
            of(key)
        );
    }
    assert_eq!(of("contract-2").len(), 3);
    // Understood by all but the handler of bare JSON.
    assert_eq!(of("no-metadata").len(), 1, "{:?}", of("no-metadata"));
    for line in lines {
        assert!(!line.contains(CANARY), "{line}");
    }
}
