//! What senders get wrong: each is told by its class and by name in the log, without its body, and the rest flows.

mod live;
mod nine;
mod outside;
mod requests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{async_nats::HeaderMap, extract::Json, prelude::*};

use crate::support::{
    Seen, connect, eventually, jetstream, kept_reach,
    log::{self, lines_of},
    quiet, server,
};

/// In every bad body, and in no line of the log.
const CANARY: &str = "canary";

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bad.input.reading.taken", key = station, version = 2, patch(1 = []))]
struct Taken {
    station: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "bad.input.reading.take")]
struct Take {
    amount: u64,
}

/// A message that is not understood.
struct Bad {
    /// Tells it from the others, in its subject.
    key: &'static str,
    class: &'static str,
    /// What the log says of it.
    said: &'static str,
    body: Vec<u8>,
}

const FITS: &str = r#"{"station":"canary","amount":1}"#;

fn envelope(data: &str, metadata: &str) -> Vec<u8> {
    let head = r#"{"type":"event","id":"x","timestamp":"2024-03-20T10:00:00Z""#;
    format!(r#"{head},"data":{data},"metadata":{metadata}}}"#).into_bytes()
}

fn bad() -> Vec<Bad> {
    let mut all = bodies_that_are_no_envelope();
    all.extend(metadata_that_cannot_be());
    all.extend(data_that_does_not_fit());
    all
}

fn bodies_that_are_no_envelope() -> Vec<Bad> {
    let mut not_utf8 = envelope(FITS, "{}");
    let at = not_utf8.windows(6).position(|bytes| bytes == b"canary").unwrap();
    not_utf8[at + 5] = 0xff;
    let deep = "[".repeat(100_000);
    let malformed = |key, said, body: &str| Bad {
        key,
        class: "malformed",
        said,
        body: body.into(),
    };
    let mut all = vec![
        malformed("empty", "EOF while parsing", ""),
        malformed("not-json", "expected value", "canary"),
        malformed(
            "truncated",
            "EOF while parsing a string",
            r#"{"type":"event","id":"canary"#,
        ),
        malformed("deep", "not an envelope", &deep),
        malformed("kind", "one of `event`", r#"{"type":"canary","id":"x"}"#),
        malformed(
            "time",
            "RFC 3339",
            r#"{"type":"event","id":"x","timestamp":"canary","data":1}"#,
        ),
        malformed(
            "no-data",
            "missing field `data`",
            r#"{"type":"event","id":"canary","timestamp":"x"}"#,
        ),
        malformed(
            "twice",
            "duplicate field `id`",
            r#"{"id":"canary","id":"canary"}"#,
        ),
    ];
    all.push(Bad {
        key: "utf-8",
        class: "malformed",
        said: "invalid unicode code point",
        body: not_utf8,
    });
    all
}

fn metadata_that_cannot_be() -> Vec<Bad> {
    let deep = format!(r#"{{"canary":{}"#, "[".repeat(100_000));
    [
        ("deep-metadata", "malformed", "recursion limit", deep.as_str()),
        (
            "metadata-twice",
            "malformed",
            "each name stands once",
            r#"{"canary":1,"canary":2}"#,
        ),
        (
            "other-name",
            "malformed",
            "orders.payments.process",
            r#"{"name":"orders.payments.process"}"#,
        ),
        (
            "no-name",
            "malformed",
            "metadata.name is no name",
            r#"{"name":"canary canary"}"#,
        ),
        ("version-99", "incompatible", "version 99", r#"{"version":99}"#),
    ]
    .into_iter()
    .map(|(key, class, said, metadata)| Bad {
        key,
        class,
        said,
        body: envelope(FITS, metadata),
    })
    .collect()
}

fn data_that_does_not_fit() -> Vec<Bad> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    [
        ("deep-data", "invalid type: sequence", deep.as_str()),
        ("data-twice", "duplicate field `amount`", r#"1,"amount":2"#),
        ("2-to-64", "floating point, expected u64", "18446744073709551616"),
        ("text", "string, expected u64", r#""canary""#),
    ]
    .into_iter()
    .map(|(key, said, amount)| Bad {
        key,
        class: "invalid",
        said,
        body: envelope(&format!(r#"{{"station":"canary","amount":{amount}}}"#), "{}"),
    })
    .collect()
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
    log::begin();
    let running = Service::new("weather", "1.0.0")
        .state(seen.clone())
        .context(Context::new("bad.input"))
        .publishes::<Taken>()
        .on(durable("note", note))
        .on(live(note))
        .on(live(note_json).filter("bad.input.reading.taken.*"))
        .start(client.clone())
        .await
        .unwrap();
    let js = jetstream(&client);
    let put = async |key: &str, body: Vec<u8>| {
        let subject = format!("bad.input.reading.taken.{key}");
        js.publish(subject, body.into()).await.unwrap().await.unwrap();
    };
    for Bad { key, body, .. } in bad() {
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
    let kept = bad().len() + 1;
    kept_reach(&client, kept).await;
    quiet(&client, "BAD__INPUT", "weather__note").await;
    eventually("all is in the log", async || {
        let ours = lines_of("bad.input.reading.taken.");
        let count = |text: &str| ours.iter().filter(|line| line.contains(text)).count();
        count("it cannot be handled") >= kept && count("heard and not handled") > 2 * kept
    })
    .await;
    let of = |key: &str| lines_of(&format!("bad.input.reading.taken.{key}\""));
    for Bad { key, class, said, .. } in bad() {
        let kept = of(key)
            .into_iter()
            .find(|line| line.contains("it cannot be handled"));
        let kept = kept.unwrap_or_else(|| panic!("no line of {key}"));
        assert!(
            kept.contains(&format!("class=\"{class}\"")) && kept.contains(said),
            "{key}: {kept}"
        );
        let heard = |line: &String| line.contains(&format!("code={class}")) && line.contains("not handled");
        assert!(
            of(key).into_iter().any(|line| heard(&line)),
            "{key}: {:?}",
            of(key)
        );
    }
    let classes = |class: &str| bad().iter().filter(|bad| bad.class == class).count() as u64;
    let expected = [
        ("handled", 1),
        ("incompatible", classes("incompatible") + 1),
        ("invalid", classes("invalid")),
        ("malformed", classes("malformed")),
    ];
    assert_eq!(
        running.tally()["weather__note"],
        expected.into(),
        "each is counted by its class"
    );
    assert_eq!(
        of("contract-2").len(),
        4,
        "three handlers, and the dead letter of one"
    );
    // Understood by all but the handler of bare JSON.
    assert_eq!(of("no-metadata").len(), 1, "{:?}", of("no-metadata"));
    for line in log::lines() {
        assert!(!line.contains(CANARY), "{line}");
    }
}

/// A caller hears what the log says, and it is counted.
#[tokio::test]
async fn a_caller_hears_what_is_wrong_without_the_body() {
    let server = server();
    let client = connect(&server).await;
    let service = Service::new("weather", "1.0.0").command(take);
    let _running = service.start(client.clone()).await.unwrap();
    let ask = async |subject: &str, body: String| -> serde_json::Value {
        let answer = client.request(subject.to_owned(), body.into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    };
    for (class, said, body) in [
        ("malformed", "EOF", String::new()),
        ("malformed", "one of `event`", r#"{"type":"canary"}"#.into()),
        (
            "invalid",
            "string, expected u64",
            String::from_utf8(envelope(r#"{"amount":"canary"}"#, "{}"))
                .unwrap()
                .replace("event", "command"),
        ),
    ] {
        let answer = ask("bad.input.reading.take", body).await;
        assert_eq!(answer["data"]["code"], class, "{answer}");
        let message = answer["data"]["message"].as_str().unwrap();
        assert!(message.contains(said) && !message.contains(CANARY), "{message}");
    }
    eventually("all are counted", async || {
        let stats = ask("$SRV.STATS.weather", String::new()).await;
        stats["endpoints"][0]["num_errors"] == 3 && !stats.to_string().contains(CANARY)
    })
    .await;
}
