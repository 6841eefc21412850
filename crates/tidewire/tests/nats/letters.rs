//! Dead letters: stored whole, in every case, before their message is let go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tidewire::{
    async_nats::{Client, HeaderMap, HeaderValue, jetstream::stream},
    dead_letter::{Act, LetterId},
    extract::Raw,
    prelude::*,
    wire,
};

use crate::support::{
    Charge, Gateway, Kept, PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, kept,
    kept_reach, limit_messages, log, payments, processed, quiet, server,
};

/// How soon a service says that it cannot store its letters, and how soon they arrive once it can.
const SOON: Duration = Duration::from_secs(15);

/// Fails as the key says, each time.
async fn fail(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    seen.note(format!("{} {attempt}", paid.payment_id));
    match paid.payment_id.as_str() {
        "reject" => Err(Charge(Gateway(404))).or_reject(),
        "retry" => Err(Charge(Gateway(500)).into()),
        "discard" => Err(Charge(Gateway(410)).into()),
        "no-use" => Err(Charge(Gateway(422)).into()),
        "panic" => panic!("as a test does"),
        "hang" => std::future::pending().await,
        _ => Ok(()),
    }
}

fn shipping(seen: &Seen) -> Service<Seen> {
    let twice = Retry::fixed(Duration::from_millis(20)).max_attempts(3);
    Service::new("shipping", "1.2.3")
        .state(seen.clone())
        .on(durable("note", fail)
            .retry(twice)
            .time_limit(Duration::from_millis(100))
            .on_error_if(|Gateway(code)| *code == 410, Then::Discard)
            .on_error_if(|Gateway(code)| *code == 422, Then::DeadLetter))
}

fn of<'a>(letters: &'a [Kept], key: &str) -> &'a Kept {
    sent_on(letters, &format!("orders.payments.payment.processed.{key}"))
}

/// The letter of the message that was sent on `subject`.
fn sent_on<'a>(letters: &'a [Kept], subject: &str) -> &'a Kept {
    let is_of = |letter: &&Kept| {
        let original = letter.record.original.as_ref();
        original.is_some_and(|original| original.subject == subject)
    };
    let found = letters.iter().find(is_of);
    found.unwrap_or_else(|| panic!("no letter of {subject}"))
}

#[tokio::test]
async fn each_failure_is_kept_with_its_class_its_attempts_and_its_causes() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = shipping(&seen).start(client.clone()).await.unwrap();
    let keys = ["reject", "no-use", "retry", "discard", "panic", "hang", "fine"];
    for key in keys {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    let letters = kept_reach(&client, 6).await;
    quiet(&client, PAYMENTS, "shipping__note").await;
    let expected = [
        ("reject", "rejected", 1, Act::Failed),
        ("no-use", "rejected", 1, Act::Failed),
        ("retry", "exhausted", 3, Act::Failed),
        ("discard", "failed", 1, Act::Discarded),
        ("panic", "panicked", 3, Act::Failed),
        ("hang", "timed_out", 3, Act::Failed),
    ];
    for (key, class, attempts, act) in expected {
        let letter = of(&letters, key);
        let trouble = letter.record.trouble.clone().unwrap();
        let class = if class == "failed" { "exhausted" } else { class };
        assert_eq!(
            (trouble.class.as_str(), trouble.attempts, letter.record.act),
            (class, attempts, act),
            "{key}"
        );
        assert!(trouble.first_failed <= trouble.last_failed);
        let runs = seen
            .sorted()
            .into_iter()
            .filter(|run| run.starts_with(key))
            .count();
        assert_eq!(runs, attempts as usize, "{key} ran as often as its letter says");
    }
    let rejected = of(&letters, "reject");
    let trouble = rejected.record.trouble.clone().unwrap();
    assert_eq!(
        (trouble.error.as_str(), trouble.chain),
        ("cannot charge", vec!["the gateway says 404".to_owned()])
    );
    // The wire contract, as another program reads it.
    let header = |name: &str| {
        let found = rejected.headers.iter().find(|(found, _)| found == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.as_str()
    };
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    let source = stream.get_raw_message(1).await.unwrap();
    assert_eq!(
        header("Orig-Nats-Msg-Id"),
        source.headers.get("Nats-Msg-Id").unwrap().as_str()
    );
    assert_eq!((header("Tw-Stream"), header("Tw-Sequence")), (PAYMENTS, "1"));
    assert_eq!(header("Tw-Subject"), "orders.payments.payment.processed.reject");
    assert_eq!(
        (header("Tw-Consumer"), header("Tw-Attempts")),
        ("shipping__note", "1")
    );
    assert_eq!(
        (header("Tw-Error-Class"), header("Tw-Service-Version")),
        ("rejected", "1.2.3")
    );
    assert_eq!(rejected.record.original.as_ref().unwrap().payload, source.payload);
    let created = rejected.record.original.as_ref().unwrap().created;
    let letter = LetterId::of(PAYMENTS, created, 1);
    assert_eq!(rejected.subject, format!("dlq.shipping.note.{letter}"));
}

/// Every failed attempt is told of, for whoever watches.
#[tokio::test]
async fn every_failed_attempt_is_an_error_event() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = shipping(&seen).start(client.clone()).await.unwrap();
    let sent = payments.bus().publish(&processed("retry")).await.unwrap();
    let mut stream = jetstream(&client).get_stream(wire::ERRORS_STREAM).await.unwrap();
    eventually("three events", async || {
        stream.info().await.unwrap().state.messages == 3
    })
    .await;
    let event = stream.get_raw_message(3).await.unwrap();
    assert_eq!(event.subject.as_str(), "errors.shipping.note");
    let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
    assert_eq!(body["data"]["details"]["then"], "dead_letter");
    let before: serde_json::Value =
        serde_json::from_slice(&stream.get_raw_message(2).await.unwrap().payload).unwrap();
    assert_eq!(before["data"]["details"]["then"], "retry");
    assert_eq!(
        (&body["type"], &body["data"]["code"]),
        (&"error".into(), &"failed".into())
    );
    assert_eq!(body["data"]["message"], "cannot charge");
    assert_eq!(body["data"]["details"]["attempt"], 3);
    assert_eq!(body["data"]["details"]["sequence"], sent.sequence);
}

async fn fail_raw(State(seen): State<Seen>, Attempt(attempt): Attempt, raw: Raw) -> Result<(), Failure> {
    seen.note(format!("{} {attempt}", raw.subject));
    Err("as a test does").or_retry()
}

/// A handler of whatever is there: for messages that no type describes.
async fn bridge(client: &Client, retry: Retry, seen: &Seen) -> (tidewire::Running, stream::Stream) {
    let config = stream::Config {
        name: "LEGACY".into(),
        subjects: vec!["LEGACY.>".into()],
        ..stream::Config::default()
    };
    let stream = jetstream(client).create_stream(config).await.unwrap();
    let durable = durable("raw", fail_raw).filter("LEGACY.>").retry(retry);
    let running = Service::new("bridge", "1.0.0")
        .state(seen.clone())
        .on(durable)
        .start(client.clone())
        .await
        .unwrap();
    (running, stream.get_info().await.map(|_| stream).unwrap())
}

/// The largest payload that the server takes, and the most headers: there is no room for a word more.
#[tokio::test]
async fn what_is_too_large_for_another_message_is_stored_whole() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let (_bridge, _) = bridge(&client, Retry::never(), &seen).await;
    let js = jetstream(&client);
    let most = client.max_payload();
    js.publish("LEGACY.large", vec![b'x'; most].into())
        .await
        .unwrap()
        .await
        .unwrap();
    let mut headers = HeaderMap::new();
    let long = "h".repeat((64 << 10) - 30);
    headers.append("X-Long", long.parse::<HeaderValue>().unwrap());
    let sent = js.publish_with_headers("LEGACY.headers", headers.clone(), "body".into());
    sent.await.unwrap().await.unwrap();
    let both = vec![b'y'; most - (64 << 10)];
    js.publish_with_headers("LEGACY.both", headers, both.clone().into())
        .await
        .unwrap()
        .await
        .unwrap();
    let letters = kept_reach(&client, 3).await;
    quiet(&client, "LEGACY", "bridge__raw").await;
    let original = |subject: &str| {
        let all = letters.iter().filter_map(|letter| letter.record.original.clone());
        all.into_iter()
            .find(|original| original.subject == subject)
            .unwrap()
    };
    assert_eq!(original("LEGACY.large").payload, vec![b'x'; most]);
    let of_headers = original("LEGACY.headers");
    assert_eq!(of_headers.parsed_headers(), [("X-Long".to_owned(), long.clone())]);
    assert_eq!(of_headers.payload, "body");
    assert_eq!(original("LEGACY.both").payload, both);
    assert_eq!(original("LEGACY.both").parsed_headers()[0].1, long);
}

/// The reply subject of a stream's message is where it is settled: what a message says must never get there.
#[tokio::test]
async fn payloads_that_look_like_settlements_settle_nothing() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let twice = Retry::fixed(Duration::from_millis(10)).max_attempts(2);
    let (bridge, _) = bridge(&client, twice, &seen).await;
    let payloads = ["+ACK", "-NAK", "+TERM", "+WPI", "", "-NAK {\"delay\": 1}"];
    let js = jetstream(&client);
    for (number, payload) in payloads.into_iter().enumerate() {
        let sent = js.publish(format!("LEGACY.{number}"), payload.into());
        sent.await.unwrap().await.unwrap();
    }
    let letters = kept_reach(&client, payloads.len()).await;
    quiet(&client, "LEGACY", "bridge__raw").await;
    for (number, payload) in payloads.into_iter().enumerate() {
        let letter = sent_on(&letters, &format!("LEGACY.{number}"));
        let trouble = letter.record.trouble.clone().unwrap();
        assert_eq!(
            (trouble.class.as_str(), trouble.attempts),
            ("exhausted", 2),
            "{payload}"
        );
        assert_eq!(letter.record.original.as_ref().unwrap().payload, payload);
    }
    assert_eq!(kept(&client).await.len(), payloads.len(), "one letter each");
    let mut runs = Vec::new();
    for number in 0..payloads.len() {
        runs.extend([1, 2].map(|attempt| format!("LEGACY.{number} {attempt}")));
    }
    assert_eq!(seen.sorted(), runs, "each was run twice");
    assert_eq!(bridge.tally()["bridge__raw"]["failed"], 12);
}

async fn fail_until_mended(
    State((broken, runs)): State<(Arc<AtomicBool>, Arc<AtomicU32>)>,
    Event(_): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    runs.fetch_add(1, Ordering::SeqCst);
    if broken.load(Ordering::SeqCst) {
        return Err("as a test does").or_reject();
    }
    Ok(())
}

async fn limit_letters(client: &Client, messages: i64) {
    limit_messages(client, wire::DLQ_STREAM, messages).await;
}

/// Found by `crash workers`: between the decision and its record a process may die, or the record be refused.
#[tokio::test]
async fn what_a_rule_discards_is_discarded_by_a_later_delivery_too() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = shipping(&seen).start(client.clone()).await.unwrap();
    payments.bus().publish(&processed("reject")).await.unwrap();
    kept_reach(&client, 1).await;
    limit_letters(&client, 1).await;
    payments.bus().publish(&processed("discard")).await.unwrap();
    eventually("it cannot be stored", async || {
        shipping.not_ready().contains_key("dead-letters")
    })
    .await;
    limit_letters(&client, -1).await;
    let letters = kept_reach(&client, 2).await;
    quiet(&client, PAYMENTS, "shipping__note").await;
    assert_eq!(of(&letters, "discard").record.act, Act::Discarded);
    assert_eq!(seen.len(), 2, "it did not run again");
}

/// The error events of a letter that cannot be stored, oldest first: the `data` of each.
async fn not_stored(client: &Client) -> Vec<serde_json::Value> {
    let stream = jetstream(client).get_stream(wire::ERRORS_STREAM).await.unwrap();
    let mut told = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        if event["data"]["code"] == "not_stored" {
            assert_eq!(message.subject.as_str(), "errors.shipping.note");
            told.push(event["data"].clone());
        }
    }
    told
}

/// The lines of the log that say that one of these letters cannot be stored, with what helps.
fn logged(letters: &[Kept]) -> Vec<String> {
    let is_of = |line: &String, letter: &Kept| line.contains(&format!("`{}`", letter.subject));
    let says = format!("dead letters cannot be stored in {}: ", wire::DLQ_STREAM);
    let lines = log::lines().into_iter();
    lines
        .filter(|line| line.contains(&says) && letters.iter().any(|letter| is_of(line, letter)))
        .collect()
}

/// Where the dead letters cannot be stored their messages stay, nothing runs twice for it, and the service says so: it
/// is not ready, and it tells of it once, in the log and by an event.
#[tokio::test]
async fn a_full_dead_letter_stream_loses_nothing() {
    log::begin();
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let state = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let shipping = Service::new("shipping", "1.0.0").state(state.clone());
    let shipping = shipping
        .on(durable("note", fail_until_mended))
        .start(client.clone())
        .await
        .unwrap();
    // One is stored, and then there is no room for another one.
    payments.bus().publish(&processed("a")).await.unwrap();
    kept_reach(&client, 1).await;
    quiet(&client, PAYMENTS, "shipping__note").await;
    limit_letters(&client, 1).await;
    let began = Instant::now();
    for key in ["b", "c"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    eventually("it says so", async || {
        shipping.not_ready().contains_key("dead-letters")
    })
    .await;
    let says = shipping.not_ready()["dead-letters"].clone();
    assert!(
        says.contains(wire::DLQ_STREAM) && says.contains("raise its limits"),
        "{says}"
    );
    eventually("it is told", async || !not_stored(&client).await.is_empty()).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    eventually("all have run", async || state.1.load(Ordering::SeqCst) == 3).await;
    assert_eq!(
        consumer(&client, PAYMENTS, "shipping__note")
            .await
            .num_ack_pending,
        2
    );
    assert_eq!(kept(&client).await.len(), 1);
    // The two that wait come again and again, and nobody is told of it each time.
    eventually("they have come again twice", async || {
        let info = consumer(&client, PAYMENTS, "shipping__note").await;
        info.delivered.consumer_sequence >= 7
    })
    .await;
    let repaired = Instant::now();
    limit_letters(&client, -1).await;
    let letters = kept_reach(&client, 3).await;
    assert!(repaired.elapsed() < SOON, "{:?}", repaired.elapsed());
    let trouble = |letter: &Kept| letter.record.trouble.clone().unwrap();
    assert!(letters.iter().all(|letter| trouble(letter).attempts == 1));
    let lines = logged(&letters);
    assert!(
        lines.len() == 1
            && lines[0].contains("cause=\"dead-letters\"")
            && lines[0].contains("raise its limits"),
        "{lines:?}"
    );
    quiet(&client, PAYMENTS, "shipping__note").await;
    eventually("it is ready", async || shipping.not_ready().is_empty()).await;
    assert_eq!(state.1.load(Ordering::SeqCst), 3, "no run more than one each");
    // Full once more, after letters were stored: only now it is told again.
    limit_letters(&client, 3).await;
    let sent = payments.bus().publish(&processed("d")).await.unwrap();
    eventually("it is told again", async || not_stored(&client).await.len() >= 2).await;
    let told = not_stored(&client).await;
    assert_eq!(told.len(), 2, "once each time: {told:?}");
    for event in &told {
        assert!(event["message"].as_str().unwrap().contains(wire::DLQ_STREAM));
        let details = &event["details"];
        assert_eq!(
            (&details["durable"], &details["stream"]),
            (&"note".into(), &PAYMENTS.into())
        );
        assert_eq!(details["then"], "kept_unacknowledged");
        assert_eq!(details["attempt"], 1);
    }
    assert_eq!(told[1]["details"]["sequence"], sent.sequence);
    limit_letters(&client, -1).await;
    let letters = kept_reach(&client, 4).await;
    assert_eq!(logged(&letters).len(), 2, "once each time");
}

/// Somebody else's stream has the subjects of the one that is gone: it cannot be made again before they are free.
#[tokio::test]
async fn a_dead_letter_stream_that_cannot_be_made_again_loses_nothing() {
    log::begin();
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = shipping(&seen).start(client.clone()).await.unwrap();
    let js = jetstream(&client);
    js.delete_stream(wire::DLQ_STREAM).await.unwrap();
    let other = stream::Config {
        name: "OTHER".into(),
        subjects: vec!["dlq.>".into()],
        ..stream::Config::default()
    };
    js.create_stream(other).await.unwrap();
    let began = Instant::now();
    let sent = payments.bus().publish(&processed("reject")).await.unwrap();
    eventually("it says so", async || {
        shipping.not_ready().contains_key("dead-letters")
    })
    .await;
    eventually("it is told", async || !not_stored(&client).await.is_empty()).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let told = not_stored(&client).await;
    assert_eq!(told[0]["details"]["sequence"], sent.sequence);
    let info = consumer(&client, PAYMENTS, "shipping__note").await;
    assert_eq!(info.num_ack_pending, 1, "it stays where it is");
    let repaired = Instant::now();
    js.delete_stream("OTHER").await.unwrap();
    let letters = kept_reach(&client, 1).await;
    assert!(repaired.elapsed() < SOON, "{:?}", repaired.elapsed());
    quiet(&client, PAYMENTS, "shipping__note").await;
    eventually("it is ready", async || shipping.not_ready().is_empty()).await;
    assert_eq!(seen.sorted(), ["reject 1"], "it did not run again");
    let lines = logged(&letters);
    assert!(
        lines.len() == 1 && lines[0].starts_with("ERROR") && lines[0].contains("cause=\"dead-letters\""),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_dead_letter_stream_that_is_deleted_is_made_again() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = shipping(&seen).start(client.clone()).await.unwrap();
    jetstream(&client).delete_stream(wire::DLQ_STREAM).await.unwrap();
    let began = Instant::now();
    payments.bus().publish(&processed("reject")).await.unwrap();
    kept_reach(&client, 1).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    quiet(&client, PAYMENTS, "shipping__note").await;
}
