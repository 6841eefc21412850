//! Each attempt of a letter's message: as error events tell it, as the letter does, and what is on record no longer.

use std::time::{Duration, SystemTime};

use tidewire::{
    ErrorEvent, Format, MessageId, Stamp, Timestamp, TraceContext,
    async_nats::jetstream::stream,
    dead_letter::{Act, LetterId},
    wire,
};
use tidewire_ops::{AttemptView, DeadLetters, Selection};
use tidewire_server::Server;

use crate::letters::{DURABLE, Failed, SERVICE, World, connected, failed, time};

const NEVER: &str = "not on record: no error event was stored of it, as where its process died";
const KEPT: &str = "no longer on record (error events are kept 7 days)";

/// The stream of error events as services make it.
async fn errors(world: &World) -> stream::Stream {
    let config = stream::Config {
        name: wire::ERRORS_STREAM.into(),
        subjects: vec!["errors.>".into()],
        max_age: Duration::from_secs(7 * 24 * 3600),
        ..stream::Config::default()
    };
    world.nats.jetstream().create_stream(config).await.unwrap()
}

/// The text of a time this long from now.
fn in_seconds(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_unix(now + Duration::from_secs(seconds)).to_string()
}

/// What a service tells of an attempt.
#[derive(Clone)]
struct Told<'a> {
    durable: &'a str,
    letter: &'a str,
    attempt: u32,
    at: &'a str,
    class: &'a str,
    error: &'a str,
    then: &'static str,
}

fn told<'a>(letter: &'a LetterId, attempt: u32, at: &'a str) -> Told<'a> {
    Told {
        durable: DURABLE,
        letter: letter.as_str(),
        attempt,
        at,
        class: "failed",
        error: "no gateway",
        then: "retry",
    }
}

impl Told<'_> {
    async fn tell(&self, world: &World) {
        let event = ErrorEvent {
            service: SERVICE.into(),
            durable: self.durable.into(),
            class: self.class.into(),
            error: self.error.into(),
            subject: "metrics.cpu".into(),
            stream: "ORDERS__PAYMENTS".into(),
            sequence: 1,
            attempt: self.attempt,
            then: self.then,
            letter: self.letter.into(),
        };
        let stamp = Stamp {
            id: MessageId::from_text("err_1").unwrap(),
            timestamp: time(self.at),
            source: SERVICE.into(),
            correlation_id: None,
            causation_id: None,
            trace: TraceContext::default(),
            format: Format::default(),
        };
        store(world, self.durable, event.body(&stamp)).await;
    }
}

async fn store(world: &World, durable: &str, body: impl Into<bytes::Bytes>) {
    let js = world.nats.jetstream();
    let subject = wire::errors_subject(SERVICE, durable);
    js.publish(subject, body.into()).await.unwrap().await.unwrap();
}

/// The attempts of the first letter, each on a line.
async fn attempts(world: &World) -> Vec<String> {
    let dead = DeadLetters::open(&world.nats, "ana@desk").await.unwrap();
    let listing = dead.list(&Selection::default()).await.unwrap();
    let letter = dead.read(&listing.letters[0]).await.unwrap();
    let attempts = dead.attempts(&letter).await;
    attempts.iter().map(line).collect()
}

fn line(attempt: &AttemptView) -> String {
    match attempt {
        AttemptView::Known {
            attempt,
            failed,
            class,
            error,
            then,
            ..
        } => format!("{attempt} {failed} {class}: {error}, {then}"),
        AttemptView::Unknown { from, to, reason, .. } => format!("{from}-{to} {reason}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn each_is_told_with_its_time_its_class_and_its_error_and_so_are_those_of_a_replay() {
    const HOSTILE: &str = "\u{1b}[31m no\nrecipe \"\u{202e}\"";
    let world = World::start().await;
    errors(&world).await;
    let [first, second, third, fourth] = [0, 1, 4, 90].map(in_seconds);
    let of = Failed {
        attempts: 3,
        first: &first,
        at: &third,
        ..failed(1, "metrics.cpu")
    };
    let id = of.id();
    let other = failed(2, "metrics.cpu").id();
    told(&id, 1, &first).tell(&world).await;
    let timed_out = Told {
        class: "timed_out",
        error: "took longer than 1s",
        ..told(&id, 2, &second)
    };
    timed_out.tell(&world).await;
    for not_one in [
        told(&other, 2, &second),
        Told {
            durable: "bill",
            ..told(&id, 2, &second)
        },
        Told {
            then: "hold",
            ..told(&id, 3, &second)
        },
        Told {
            class: "not_stored",
            then: "kept_unacknowledged",
            ..told(&id, 3, &third)
        },
    ] {
        not_one.tell(&world).await;
    }
    for junk in ["", "[]", r#"{"data":{"details":{"letter":7}}}"#] {
        store(&world, DURABLE, junk).await;
    }
    let last = Told {
        error: HOSTILE,
        then: "dead_letter",
        ..told(&id, 3, &third)
    };
    last.tell(&world).await;
    world.letter(&of).await;
    let mut wanted = vec![
        format!("1 {first} failed: no gateway, retry"),
        format!("2 {second} timed_out: took longer than 1s, retry"),
        format!("3 {third} failed: {HOSTILE}, dead_letter"),
    ];
    assert_eq!(attempts(&world).await, wanted);

    // While a replay is under way its attempts are there already.
    let replayed = of.after_replay(Act::Replayed, None);
    let claim = world.record(&of, &id, &replayed, 1).await;
    let again = Told {
        class: "rejected",
        error: "no recipe",
        then: "dead_letter",
        ..told(&id, 4, &fourth)
    };
    again.tell(&world).await;
    wanted.push(format!("4 {fourth} rejected: no recipe, dead_letter"));
    assert_eq!(attempts(&world).await, wanted);
    let of_replay = Failed {
        attempts: 4,
        at: &fourth,
        ..of.clone()
    };
    let record = of_replay.after_replay(Act::Failed, Some(of.original()));
    world.record(&of, &id, &record, claim).await;
    assert_eq!(attempts(&world).await, wanted);
    // Another instance had not heard of the count, and ran the second once more.
    timed_out.tell(&world).await;
    wanted.insert(2, wanted[1].clone());
    assert_eq!(attempts(&world).await, wanted);
}

#[tokio::test]
async fn those_that_are_not_on_record_are_said_to_be_with_the_reason() {
    let world = World::start().await;
    let of = failed(1, "metrics.cpu");
    let id = world.letter(&of).await;
    let eighth = "8 2026-03-20T10:00:08.000000Z exhausted: no gateway, dead_letter".to_owned();
    assert_eq!(
        attempts(&world).await,
        [
            "1-7 no longer on record: the stream TIDEWIRE_ERRORS does not exist".to_owned(),
            eighth.clone()
        ]
    );
    errors(&world).await;
    told(&id, 3, "2026-03-20T10:00:03Z").tell(&world).await;
    assert_eq!(
        attempts(&world).await,
        [
            format!("1-2 {KEPT}"),
            "3 2026-03-20T10:00:03.000000Z failed: no gateway, retry".to_owned(),
            format!("4-7 {KEPT}"),
            eighth
        ]
    );
}

#[tokio::test]
async fn what_was_never_told_is_told_apart_from_what_is_kept_no_longer() {
    let world = World::start().await;
    let stream = errors(&world).await;
    let [first, second, last] = [0, 1, 8].map(in_seconds);
    let of = Failed {
        attempts: 5,
        first: &first,
        at: &last,
        ..failed(1, "metrics.cpu")
    };
    let id = world.letter(&of).await;
    told(&id, 1, &first).tell(&world).await;
    told(&id, 3, &second).tell(&world).await;
    let end = [
        format!("3 {second} failed: no gateway, retry"),
        format!("4-4 {NEVER}"),
        format!("5 {last} exhausted: no gateway, dead_letter"),
    ];
    let begin = [
        format!("1 {first} failed: no gateway, retry"),
        format!("2-2 {NEVER}"),
    ];
    assert_eq!(attempts(&world).await, [&begin[..], &end].concat());
    // As where the stream had too many.
    stream.purge().sequence(2).await.unwrap();
    let seen = attempts(&world).await;
    assert_eq!(seen[1..2], end[..1]);
    assert!(
        seen[0].starts_with("1-2 no longer on record (error events are there since "),
        "{seen:?}"
    );
}

/// Events of others between a letter's attempts: not all are read, and what was not is said.
#[tokio::test]
async fn a_flood_of_other_events_is_read_up_to_a_limit() {
    let world = World::start().await;
    errors(&world).await;
    let [first, last] = [0, 8].map(in_seconds);
    let of = Failed {
        attempts: 2,
        first: &first,
        at: &last,
        ..failed(1, "metrics.cpu")
    };
    let id = world.letter(&of).await;
    let client = world.nats.client();
    for _ in 0..50_000 {
        let subject = wire::errors_subject(SERVICE, DURABLE);
        client.publish(subject, "{}".into()).await.unwrap();
    }
    told(&id, 1, &first).tell(&world).await;
    assert_eq!(
        attempts(&world).await,
        [
            "1-1 not found among the first 50000 error events of payments__ship from that time".to_owned(),
            format!("2 {last} exhausted: no gateway, dead_letter")
        ]
    );
}

/// Who may read the letters and not the error events still sees what the letter tells.
#[tokio::test]
async fn error_events_that_may_not_be_read_hide_nothing_else() {
    let config = "authorization { timeout: 30, users: [
        { user: admin, password: admin }
        { user: reader, password: reader, permissions: { publish: { deny: \"$JS.API.*.*.TIDEWIRE_ERRORS\" } } }
    ] }";
    let server = Server::builder().config(config).start().unwrap();
    let connect =
        async |user: &str| connected(tidewire::Connect::to(server.url()).user(user, user.to_owned())).await;
    let (nats, reader) = (connect("admin").await, connect("reader").await);
    let mut world = World { server, nats };
    world.stream("TIDEWIRE_DLQ", &["dlq.>"]).await;
    errors(&world).await;
    let of = failed(1, "metrics.cpu");
    world.letter(&of).await;
    world.nats = reader;
    let seen = attempts(&world).await;
    assert!(
        seen[0].starts_with("1-7 not read: ") && seen[0].contains("$JS.API.STREAM.INFO.TIDEWIRE_ERRORS"),
        "{seen:?}"
    );
    assert_eq!(
        seen[1..],
        ["8 2026-03-20T10:00:08.000000Z exhausted: no gateway, dead_letter"]
    );
}
