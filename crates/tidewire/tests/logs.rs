//! What is logged while messages are handled: the ids, and never a body.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends so where it fails")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    async_nats::{Client, jetstream},
    prelude::*,
    wire,
};
use tidewire_server::Server;
use tracing::Level;

/// What stands in every body.
const CANARY: &str = "canary-in-a-payload";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Everything that is logged in this process at DEBUG and above, by us and by the client.
    fn of_debug() -> &'static Self {
        static LINES: OnceLock<Lines> = OnceLock::new();
        LINES.get_or_init(|| {
            let lines = Self::default();
            let writer = lines.clone();
            tracing_subscriber::fmt()
                .with_max_level(Level::DEBUG)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            lines
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn find(&self, wanted: &str) -> Option<String> {
        self.text()
            .lines()
            .find(|line| line.contains(wanted))
            .map(str::to_owned)
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "logs.weather.reading.taken", key = station)]
struct Taken {
    station: String,
    note: String,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "logs.weather.reading.take", reply = String)]
struct Take {
    note: String,
}

fn taken(station: &str) -> Taken {
    Taken {
        station: station.into(),
        note: CANARY.into(),
    }
}

/// Does what the station says.
async fn act(Attempt(attempt): Attempt, Event(taken): Event<Taken>) -> Result<(), Failure> {
    tracing::info!(station = taken.station, "the handler speaks");
    match (taken.station.as_str(), attempt) {
        ("once", 1) | ("retries", _) => Err("cannot").or_retry(),
        ("rejects", _) => Err("must not").or_reject(),
        ("panics", _) => panic!("as a test does"),
        ("hangs", _) => std::future::pending().await,
        _ => Ok(()),
    }
}

async fn act_on_all(Batch(all): Batch<Taken>) -> Vec<Result<(), Failure>> {
    let one = |taken: Taken| match taken.station.as_str() {
        "fine" => Ok(()),
        _ => Err("not this one").or_reject(),
    };
    all.into_iter().map(one).collect()
}

async fn hear(Event(_): Event<Taken>) -> Result<(), Failure> {
    Err("not now").or_retry()
}

async fn take(Command(_): Command<Take>) -> Result<String, Failure> {
    Err(Failure::decline("closed", "closed today"))
}

async fn letters(client: &Client) -> u64 {
    let stream = jetstream::new(client.clone()).get_stream(wire::DLQ_STREAM).await;
    stream.map_or(0, |stream| stream.cached_info().state.messages)
}

async fn within(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The bodies of messages that succeed, fail, panic, hang, are not understood, not sent and not answered: none is in a line.
#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_logged_and_the_ids_of_its_message_are() {
    let lines = Lines::of_debug();
    let server = Server::start().unwrap();
    let client = tidewire::connect(server.url()).await.unwrap().client();
    let policy = Retry::fixed(Duration::from_millis(10)).max_attempts(2);
    let running = Service::new("weather", "1.0.0")
        .context(Context::new("logs.weather"))
        .publishes::<Taken>()
        .asks::<Take>()
        .on(durable("act", act)
            .retry(policy)
            .time_limit(Duration::from_millis(500))
            .effectively_once())
        .on_batch(10, Duration::from_millis(20), durable("all", act_on_all))
        .on(live(hear))
        .command(take)
        .start(client.clone())
        .await
        .unwrap();
    let bus = running.bus();
    for station in ["fine", "once", "retries", "rejects", "panics", "hangs"] {
        bus.publish(&taken(station)).await.unwrap();
    }
    let js = jetstream::new(client.clone());
    let wrong_type = format!(
        r#"{{"type":"event","id":"e","timestamp":"2024-03-20T10:00:00Z","data":{{"station":["{CANARY}"],"note":"{CANARY}"}}}}"#
    );
    for body in [CANARY.to_owned(), format!(r#"{{"id":"{CANARY}"#), wrong_type] {
        let sent = js.publish("logs.weather.reading.taken.bad", body.into()).await;
        sent.unwrap().await.unwrap();
    }
    let note = || CANARY.to_owned();
    let declined = bus.ask(&Take { note: note() }).await.unwrap_err();
    assert_eq!(declined.code(), Some("closed"));
    let malformed = client.request("logs.weather.reading.take", CANARY.into()).await;
    assert!(malformed.is_ok());
    // Of the first: retried, rejected, panicked, hung; of the batches all but one of the six; three bad ones of both.
    within("all letters are stored", async || {
        letters(&client).await == 4 + 5 + 6
    })
    .await;
    within("the lines are there", async || {
        lines.find("heard and not handled").is_some()
    })
    .await;
    let mut large = taken("large");
    large.note = CANARY.repeat(100_000);
    bus.publish(&large).await.unwrap_err();
    running.stop().await.unwrap();

    let text = lines.text();
    for said in [
        "it cannot be handled",
        "a dead letter was stored",
        "panicked",
        "declined",
        "malformed",
    ] {
        assert!(text.contains(said), "{said}");
    }
    let sung = text.lines().find(|line| line.contains(CANARY));
    assert_eq!(sung, None, "a body is in the log");

    let spoken = lines.find(r#"the handler speaks station="once""#).unwrap();
    for said in [
        "messaging.message.id=\"evt_",
        "messaging.message.conversation_id=\"evt_",
        "messaging.consumer.group.name=\"weather__act\"",
        "tidewire.attempt=1",
        "messaging.destination.name=\"logs.weather.reading.taken\"",
    ] {
        assert!(spoken.contains(said), "{said}: {spoken}");
    }
    // What the framework says of an attempt has the ids of its message, too.
    let failed = lines.find("failed; it is tried again").unwrap();
    assert!(failed.contains("messaging.message.id=\"evt_"), "{failed}");
}
