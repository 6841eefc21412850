//! What is logged while messages are handled: the ids, and never a body.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends so where it fails")]

#[path = "support/records.rs"]
mod records;
#[path = "support/replay.rs"]
mod replay;

use std::{
    fmt::Write as _,
    io::{self, Write},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    async_nats::{Client, HeaderMap, jetstream},
    dead_letter::{Act, Record},
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
        _ => Ok(()),
    }
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "logs.weather.reading.delayed", key = station)]
struct Delayed {
    station: String,
    note: String,
}

/// Comes to no end. Its durable is its own, for the others have as long as they need.
async fn hang(Event(_): Event<Delayed>) {
    std::future::pending::<()>().await;
}

async fn act_on_all(Batch(all): Batch<Taken>) -> Vec<Result<(), Failure>> {
    tracing::info!("the batch speaks");
    let one = |taken: Taken| match taken.station.as_str() {
        "fine" => Ok(()),
        _ => Err("not this one").or_reject(),
    };
    all.into_iter().map(one).collect()
}

async fn hear(Event(_): Event<Taken>) -> Result<(), Failure> {
    tracing::info!("the live handler speaks");
    Err("not now").or_retry()
}

async fn take(Command(_): Command<Take>) -> Result<String, Failure> {
    tracing::info!("the answerer speaks");
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
        .publishes::<Delayed>()
        .asks::<Take>()
        .on(durable("act", act).retry(policy).effectively_once())
        .on(durable("hang", hang)
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
    for station in ["fine", "once", "retries", "rejects", "panics"] {
        bus.publish(&taken(station)).await.unwrap();
    }
    let (station, note) = ("hangs".into(), CANARY.into());
    bus.publish(&Delayed { station, note }).await.unwrap();
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
    // Retried, rejected, panicked, hung; of the batches all but one of the five; three bad ones of both.
    within("all letters are stored", async || {
        letters(&client).await == 4 + 4 + 6
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

    for said in [
        "it cannot be handled",
        "a dead letter was stored",
        "panicked",
        "timed_out",
        "declined",
        "malformed",
    ] {
        assert!(lines.find(said).is_some(), "{said}");
    }
    assert_eq!(lines.find(CANARY), None, "a body is in the log");

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
    for (speaks, kind) in [
        ("the live handler speaks", "evt_"),
        ("the answerer speaks", "cmd_"),
    ] {
        let spoken = lines.find(speaks).unwrap();
        let id = format!("messaging.message.id=\"{kind}");
        assert!(spoken.contains(&id), "{id}: {spoken}");
    }
    // A batch is of many messages.
    let spoken = lines.find("the batch speaks").unwrap();
    assert!(
        spoken.contains("messaging.consumer.group.name=\"weather__all\""),
        "{spoken}"
    );
    assert!(!spoken.contains("messaging.message.id"), "{spoken}");
    // What the framework says of an attempt has the ids of its message, too.
    let failed = lines.find("failed; it is tried again").unwrap();
    assert!(failed.contains("messaging.message.id=\"evt_"), "{failed}");
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "logs.plant.sensor.measured", key = sensor, codec = msgpack)]
struct Measured {
    sensor: String,
    note: String,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "logs.plant.sensor.reset", key = sensor)]
struct Reset {
    sensor: String,
    note: String,
}

/// Sends on what it was given; one waits for longer than it is held in hand, and one has to be mended.
async fn gauge(
    State(mended): State<Arc<AtomicBool>>,
    Attempt(attempt): Attempt,
    resets: Dispatch<Reset>,
    Event(Measured { sensor, note }): Event<Measured>,
) -> Result<(), Failure> {
    match sensor.as_str() {
        "late" if attempt == 1 => Err("not now").or_retry_after(Duration::from_secs(11))?,
        "bad" if !mended.load(Ordering::SeqCst) => Err("must not").or_reject()?,
        _ => resets.dispatch(Reset { sensor, note }),
    }
    Ok(())
}

async fn reset(Command(_): Command<Reset>) -> Result<(), Failure> {
    Err("nobody resets").or_reject()
}

/// The records of dead letters of this service, oldest first, with their subjects.
async fn records_of(client: &Client, service: &str) -> Vec<(String, Record)> {
    let mut records = records::records(&jetstream::new(client.clone())).await;
    records.retain(|(subject, _)| subject.split('.').nth(1) == Some(service));
    records
}

/// The same for all that is done to a body, or with it: codecs, compression, claim checks, commands in a queue, parking,
/// the inbox, what cannot be read, and a replay.
#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_logged_however_it_travels() {
    let lines = Lines::of_debug();
    let server = Server::start().unwrap();
    let client = tidewire::connect(server.url()).await.unwrap().client();
    let mended = Arc::new(AtomicBool::default());
    let running = Service::new("plant", "1.0.0")
        .state(mended.clone())
        .context(Context::new("logs.plant"))
        .publishes::<Measured>()
        .sends::<Reset>()
        .compress_above(1_000)
        .claim_check_above(4_000)
        .on(durable("gauge", gauge).ordered_by_key().effectively_once())
        .on(durable("reset", reset))
        .start(client.clone())
        .await
        .unwrap();
    // What cannot be compressed: the square roots of the odd numbers, beside the canary.
    let noise = (0..2_000_u32).fold(String::new(), |mut noise, number| {
        let _ = write!(noise, "{}", f64::from(2 * number + 1).sqrt());
        noise
    });
    for (sensor, note) in [
        ("fine", CANARY.to_owned()),
        ("compressed", CANARY.repeat(1_000)),
        ("claimed", format!("{CANARY}{noise}{CANARY}")),
        ("late", CANARY.to_owned()),
        ("bad", CANARY.to_owned()),
    ] {
        let sensor = sensor.to_owned();
        running.bus().publish(&Measured { sensor, note }).await.unwrap();
    }
    let stream = jetstream::new(client.clone())
        .get_stream("LOGS__PLANT")
        .await
        .unwrap();
    let stored = async |sequence| stream.get_raw_message(sequence).await.unwrap();
    let (compressed, claimed) = (stored(2).await, stored(3).await);
    assert!(compressed.headers.get(wire::CONTENT_ENCODING).is_some() && claimed.payload.is_empty());
    // One that says that it is compressed, and is not.
    let mut headers = HeaderMap::new();
    headers.append(wire::CONTENT_ENCODING, "zstd");
    let js = jetstream::new(client.clone());
    let corrupt = js.publish_with_headers("logs.plant.sensor.measured.corrupt", headers, CANARY.into());
    corrupt.await.unwrap().await.unwrap();

    // The bad one, the corrupt one, and the commands of the other four.
    within("all letters are stored", async || {
        records_of(&client, "plant").await.len() == 6
    })
    .await;
    mended.store(true, Ordering::SeqCst);
    let records = records_of(&client, "plant").await;
    let bad = records.iter().find(|(subject, record)| {
        subject.contains(".gauge.") && record.trouble.as_ref().unwrap().class == "rejected"
    });
    let (subject, bad) = bad.unwrap();
    replay::replay(&client, subject, bad, "plant", "gauge").await;
    // That of the replay, that of its end, and the letter of its command.
    within("it is handled", async || {
        let records = records_of(&client, "plant").await;
        records.len() == 9 && records.iter().any(|(_, record)| record.act == Act::Handled)
    })
    .await;
    running.stop().await.unwrap();
    assert!(lines.find("nobody resets").is_some());
    assert_eq!(lines.find(CANARY), None, "a body is in the log");
}
