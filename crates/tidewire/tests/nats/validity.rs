//! What breaks its schema: not sent, and a dead letter where it comes from somebody else.

mod versions;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidewire::{AskError, EncodeError, PublishError, ReplyError, Running, async_nats::Client, prelude::*};

use crate::support::{Kept, Seen, connect, jetstream, kept, kept_reach, quiet, server};

const WEATHER: &str = "WEATHER__STATIONS";

/// In bad data only, and in no error.
const CANARY: &str = "canary";

#[derive(Event, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[event(subject = "weather.stations.wind.measured", key = station)]
struct Measured {
    station: String,
    #[schemars(range(min = 0, max = 120))]
    speed: i32,
}

#[derive(Command, Serialize, Deserialize, JsonSchema, Clone, Debug)]
#[command(subject = "weather.stations.wind.measure", reply = Answer)]
struct Measure {
    #[schemars(length(max = 8))]
    station: String,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug)]
struct Answer {
    #[schemars(range(max = 120))]
    speed: i32,
}

fn measured(station: &str, speed: i32) -> Measured {
    Measured {
        station: station.into(),
        speed,
    }
}

fn measure(station: &str) -> Measure {
    Measure {
        station: station.into(),
    }
}

async fn note(State(seen): State<Seen>, Event(wind): Event<Measured>) {
    seen.note(wind.station);
}

/// Reads the winds, and keeps their stream.
fn reader(seen: &Seen) -> Service<Seen> {
    Service::new("reader", "1.0.0")
        .state(seen.clone())
        .context(Context::new("weather.stations"))
        .publishes::<Measured>()
        .on(durable("note", note))
}

/// What somebody sends who does not validate.
async fn publish(client: &Client, subject: &str, data: Value) {
    let body = json!({"type": "event", "id": "x", "timestamp": "2026-03-20T10:00:00Z", "data": data});
    let js = jetstream(client);
    let published = js.publish(subject.to_owned(), body.to_string().into());
    published.await.unwrap().await.unwrap();
}

fn trouble(letter: &Kept) -> (String, String, u32) {
    let trouble = letter.record.trouble.clone().unwrap();
    let text = format!("{} {}", trouble.error, trouble.chain.join(" "));
    assert!(!text.contains(CANARY), "{text}");
    (trouble.class, text, trouble.attempts)
}

async fn stored(client: &Client, stream: &str) -> u64 {
    let stream = jetstream(client).get_stream(stream).await.unwrap();
    stream.cached_info().state.messages
}

#[tokio::test]
async fn what_breaks_its_schema_on_receipt_is_a_dead_letter_at_once_and_the_rest_flows() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let service = reader(&seen).validate_received();
    let running = service.start(client.clone()).await.unwrap();
    let subject = "weather.stations.wind.measured.canary";
    publish(&client, subject, json!({"station": CANARY, "speed": 121})).await;
    publish(&client, subject, json!({"station": CANARY, "speed": CANARY})).await;
    publish(
        &client,
        subject,
        json!({"station": "good", "speed": 7, "more": 1}),
    )
    .await;
    seen.reaches(1).await;
    let letters = kept_reach(&client, 2).await;
    quiet(&client, WEATHER, "reader__note").await;
    let mut troubles: Vec<_> = letters.iter().map(trouble).collect();
    troubles.sort();
    for (class, text, attempts) in &troubles {
        assert_eq!((class.as_str(), *attempts), ("invalid", 1), "{text}");
    }
    assert!(
        troubles[0].1.contains("at `/speed`, expected at most 120"),
        "{troubles:?}"
    );
    assert!(
        troubles[1].1.contains("at `/speed`, expected integer"),
        "{troubles:?}"
    );
    assert_eq!(seen.sorted(), ["good"]);
    assert_eq!(running.tally()["reader__note"]["invalid"], 2);
}

/// The type takes what it can hold.
#[tokio::test]
async fn nothing_is_held_against_its_schema_unless_asked_for() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let running = reader(&seen).start(client.clone()).await.unwrap();
    running.bus().publish(&measured("fast", 999)).await.unwrap();
    seen.reaches(1).await;
    assert!(kept(&client).await.is_empty());
    let manifest = serde_json::to_value(reader(&seen).manifest().unwrap()).unwrap();
    assert!(manifest.get("validates_sent").is_none(), "{manifest}");
    let strict = reader(&seen)
        .validate_sent()
        .validate_received()
        .manifest()
        .unwrap();
    assert!(strict.validates_sent && strict.validates_received);
}

async fn emit_both(
    winds: Emit<Measured>,
    orders: Dispatch<Measure>,
    State(seen): State<Seen>,
    Event(wind): Event<Measured>,
) {
    seen.note("tried");
    if wind.station == "first" {
        winds.emit(measured("good", 1));
        orders.dispatch(measure("canary-canary"));
        winds.emit(measured("good", 2));
    }
}

async fn work(Command(_): Command<Measure>) {}

/// A dead letter of the handler, and neither what was written before the bad message nor what came after it.
#[tokio::test]
async fn a_handler_that_emits_what_breaks_its_schema_sends_nothing_at_all() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let echo = Service::new("echo", "1.0.0")
        .state(seen.clone())
        .context(Context::new("weather.stations"))
        .on(durable("echo", emit_both))
        .on(durable("work", work))
        .publishes::<Measured>()
        .validate_sent();
    let running = echo.start(client.clone()).await.unwrap();
    running.bus().publish(&measured("first", 0)).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    quiet(&client, WEATHER, "echo__echo").await;
    let (class, text, attempts) = trouble(&letters[0]);
    assert_eq!((class.as_str(), attempts), ("rejected", 1), "{text}");
    assert!(
        text.contains("`weather.stations.wind.measure` breaks its schema")
            && text.contains("at `/station`, expected at most 8 characters"),
        "{text}"
    );
    assert_eq!(stored(&client, WEATHER).await, 1, "the input alone");
    assert_eq!(stored(&client, "WEATHER__STATIONS__QUEUE").await, 0);
    assert_eq!(seen.len(), 1, "no attempt helps");
}

/// Where, and what is expected there.
fn broken(error: &EncodeError) -> (&str, &str) {
    match error {
        EncodeError::BreaksSchema { source, .. } => (source.path(), source.expected()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_bus_refuses_what_breaks_its_schema_with_the_place() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let service = reader(&seen)
        .on(durable("work", work))
        .sends::<Measure>()
        .asks::<Measure>()
        .validate_sent();
    let running = service.start(client.clone()).await.unwrap();
    let bus = running.bus();
    let long = measure("canary-canary");
    let mut asked = client.subscribe("weather.stations.wind.measure").await.unwrap();
    let published = bus.publish(&measured("x", -1)).await.unwrap_err();
    let PublishError::Encode(error) = &published else {
        panic!("{published}")
    };
    assert_eq!(broken(error), ("/speed", "at least 0"));
    let PublishError::Encode(error) = bus.send(&long).await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(broken(&error), ("/station", "at most 8 characters"));
    assert!(!error.to_string().contains(CANARY), "{error}");
    let AskError::Encode(error) = bus.ask(&long).await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(broken(&error), ("/station", "at most 8 characters"));
    assert_eq!(stored(&client, WEATHER).await, 0);
    assert_eq!(stored(&client, "WEATHER__STATIONS__QUEUE").await, 0);
    // What was sent would have come before this.
    client
        .publish("weather.stations.wind.measure", "last".into())
        .await
        .unwrap();
    assert_eq!(asked.next().await.unwrap().payload, "last");
    bus.publish(&measured("x", 0)).await.unwrap();
    seen.reaches(1).await;
}

/// Answers with the number in the station's name.
async fn answer(winds: Emit<Measured>, Command(measure): Command<Measure>) -> Answer {
    let speed = measure.station.parse().unwrap_or_default();
    winds.emit(measured("asked", 1));
    Answer { speed }
}

fn answering() -> Service {
    Service::new("answering", "1.0.0")
        .context(Context::new("weather.stations"))
        .command(answer)
}

async fn asking(client: &Client, service: Service) -> Running {
    service.asks::<Measure>().start(client.clone()).await.unwrap()
}

#[tokio::test]
async fn a_request_that_breaks_its_schema_is_refused_and_not_to_be_tried_again() {
    let server = server();
    let client = connect(&server).await;
    let service = answering().validate_received();
    let _answering = service.start(client.clone()).await.unwrap();
    let asking = asking(&client, Service::new("asking", "1.0.0")).await;
    let error = asking.bus().ask(&measure("canary-canary")).await.unwrap_err();
    let AskError::Refused { error, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((error.code.as_str(), error.retryable), ("invalid", false));
    assert!(
        error
            .message
            .contains("at `/station`, expected at most 8 characters"),
        "{error:?}"
    );
    assert!(!error.message.contains(CANARY), "{error:?}");
    assert_eq!(asking.bus().ask(&measure("7")).await.unwrap().speed, 7);
}

#[tokio::test]
async fn an_answer_that_breaks_its_schema_is_neither_given_nor_taken() {
    let server = server();
    let client = connect(&server).await;
    let strict = answering().validate_sent().start(client.clone()).await.unwrap();
    let lenient = asking(&client, Service::new("asking", "1.0.0")).await;
    let error = lenient.bus().ask(&measure("999")).await.unwrap_err();
    let AskError::Refused { error, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((error.code.as_str(), error.retryable), ("rejected", false));
    assert!(
        error.message.contains("at `/speed`, expected at most 120"),
        "{error:?}"
    );
    assert_eq!(
        stored(&client, WEATHER).await,
        0,
        "what the handler emitted is not sent"
    );
    strict.stop().await.unwrap();

    let _lenient = answering().start(client.clone()).await.unwrap();
    assert_eq!(lenient.bus().ask(&measure("999")).await.unwrap().speed, 999);
    let strict = asking(&client, Service::new("strict", "1.0.0").validate_received()).await;
    let error = strict.bus().ask(&measure("999")).await.unwrap_err();
    let AskError::Unreadable {
        source: ReplyError::BreaksSchema(place),
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((place.path(), place.expected()), ("/speed", "at most 120"));
    assert!(!error.is_transient());
    assert_eq!(strict.bus().ask(&measure("7")).await.unwrap().speed, 7);
}

#[derive(Event, Serialize, Deserialize)]
#[event(subject = "weather.stations.odd.measured")]
struct Odd {}

impl JsonSchema for Odd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Odd".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "nothing"})
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_named_at_start() {
    let server = server();
    let client = connect(&server).await;
    let odd = || {
        let service = Service::new("odd", "1.0.0").context(Context::new("weather.stations"));
        service.publishes::<Odd>()
    };
    let error = odd().validate_sent().start(client.clone()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("version 1 of `weather.stations.odd.measured`: its schema cannot be used"),
        "{text}"
    );
    let _running = odd().start(client).await.unwrap();
}
