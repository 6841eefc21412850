//! What a service tells of itself in figures.
//!
//! The recorder is the process's, and so may be shared by these tests: each has services of its own names.

mod letters;
mod sends;
mod values;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tidewire::{
    CircuitState, Running,
    async_nats::{Client, jetstream::stream},
    extract::Raw,
    prelude::*,
};
use tokio::sync::Semaphore;

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, PaymentRefunded, connect, eventually,
    http::{figures, get, sum},
    jetstream, kept_reach, payments, processed, quiet, server,
};

/// A port that is free.
const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn address(running: &Running) -> SocketAddr {
    running.monitor_address().unwrap()
}

/// As another program writes it.
fn envelope(number: u32) -> Bytes {
    let text = format!(
        r#"{{"type":"event","id":"n-{number}","timestamp":"2026-03-20T10:00:00Z","data":{{"payment_id":"k{number}"}},"metadata":{{}}}}"#
    );
    text.into()
}

/// Publishes so many messages of one stream, and returns once all of them are stored.
async fn publish(client: &Client, count: u32, subject: impl Fn(u32) -> String) {
    let js = jetstream(client);
    for number in 0..count {
        let (subject, body) = (subject(number), envelope(number));
        // A stream stores what one client sends in its order: once one is confirmed those before it are stored.
        if number % 500 == 499 || number == count - 1 {
            js.publish(subject, body).await.unwrap().await.unwrap();
        } else {
            client.publish(subject, body).await.unwrap();
        }
    }
}

/// A message may say anything of itself; what it says is never the name of a series.
#[tokio::test]
async fn unknown_names_and_ten_thousand_keys_make_no_series() {
    async fn any(Event(_): Event<Any>) {}
    async fn raw(_: Raw) {}
    async fn typed(Event(_): Event<PaymentProcessed>) {}
    let (server, most) = (server(), 10_000);
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let odd = stream::Config {
        name: "ODD".into(),
        subjects: vec!["odd.>".into()],
        ..Default::default()
    };
    jetstream(&client).create_stream(odd).await.unwrap();
    let bounded = Service::new("bounded", "1.0.0")
        .on(durable("any", any).filter("odd.>"))
        .on(durable("raw", raw).filter("odd.>"))
        .on(durable("typed", typed))
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    let at_first = figures(address(&bounded), "bounded").await;
    assert!(
        sum(&at_first, &["_count", "typed"]).abs() < f64::EPSILON && at_first.len() > 20,
        "the series of what is declared are there before anything comes"
    );

    publish(&client, 1, |_| "odd.word.thing.happened.k".into()).await;
    let quiet_all = async || {
        quiet(&client, "ODD", "bounded__any").await;
        quiet(&client, "ODD", "bounded__raw").await;
        quiet(&client, PAYMENTS, "bounded__typed").await;
    };
    quiet_all().await;
    let before: Vec<_> = figures(address(&bounded), "bounded").await.into_keys().collect();
    publish(&client, most, |number| {
        format!("odd.w{number}.thing.happened.k{number}")
    })
    .await;
    publish(&client, most, |number| {
        format!("orders.payments.payment.processed.k{number}")
    })
    .await;
    quiet_all().await;
    let after = figures(address(&bounded), "bounded").await;
    assert_eq!(after.keys().cloned().collect::<Vec<_>>(), before);
    let consumed = |consumer: &str, message: &str, count: u32| {
        is(
            &after,
            count,
            &["consumed", "outcome=\"handled\"", consumer, message],
        );
    };
    consumed(
        "bounded__typed",
        "message=\"orders.payments.payment.processed\"",
        most,
    );
    consumed("bounded__any", "message=\"other\"", most + 1);
    consumed("bounded__raw", "message=\"other\"", most + 1);
    let (_, text) = get(address(&bounded), "/metrics").await;
    assert!(!text.contains("w9999") && !text.contains("k9999"));
}

#[derive(Clone)]
struct Till {
    down: Arc<AtomicBool>,
    /// Who waits goes on when there are permits.
    gate: Arc<Semaphore>,
}

impl Default for Till {
    fn default() -> Self {
        Self {
            down: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }
}

async fn charge(
    State(till): State<Till>,
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    if till.down.load(Ordering::SeqCst) {
        return Err("connection refused").or_unavailable();
    }
    match paid.note.as_str() {
        "twice" if attempt == 1 => return Err("busy").or_retry(),
        "never" => return Err("no such card").or_reject(),
        "no" => return Err(Failure::decline("sold_out", "there is none")),
        "boom" => panic!("a bug"),
        "wait" => drop(till.gate.acquire().await.unwrap()),
        _ => {}
    }
    let payment_id = paid.payment_id;
    booked.emit(ParcelBooked { payment_id });
    Ok(())
}

/// Comes to no end. Its durable is its own, for those that publish have as long as they need.
async fn hang(Event(_): Event<PaymentRefunded>) {
    std::future::pending::<()>().await;
}

/// The sum of the figures whose series hold all of `parts` is this.
fn is(figures: &BTreeMap<String, f64>, expected: u32, parts: &[&str]) {
    let found = sum(figures, parts);
    assert!(
        (found - f64::from(expected)).abs() < 1e-6,
        "{parts:?}: {found}, not {expected}"
    );
}

const PROCESSED: &str = "message=\"orders.payments.payment.processed\"";
const REFUNDED: &str = "message=\"orders.payments.payment.refunded\"";

/// A service that publishes an event for each end that an attempt can have, and handles them.
async fn a_day_of(name: &str, client: &Client) -> Running {
    let breaker = Breaker::new("gateway").first_wait(Duration::from_millis(20));
    let retry = Retry::exponential(Duration::from_millis(10), Duration::from_secs(1)).max_attempts(2);
    let service = Service::new(name, "1.2.3")
        .context(Context::new("orders.payments"))
        .context(Context::new("orders.shipping"))
        .publishes::<PaymentProcessed>()
        .publishes::<PaymentRefunded>()
        .state(Till::default())
        .on(durable("charge", charge).retry(retry).circuit_breaker(&breaker))
        .on(durable("hang", hang)
            .retry(retry)
            .time_limit(Duration::from_millis(100)))
        .monitor(ANY)
        .start(client.clone());
    let service = service.await.unwrap();
    for note in ["well", "twice", "never", "no", "boom"] {
        let event = PaymentProcessed {
            note: note.into(),
            ..processed(note)
        };
        service.bus().publish(&event).await.unwrap();
    }
    let payment_id = "long".into();
    let long = PaymentRefunded { payment_id };
    service.bus().publish(&long).await.unwrap();
    let subject = "orders.payments.payment.processed.odd";
    client.publish(subject, "no envelope".into()).await.unwrap();
    // `never`, `boom`, `long` and the one without an envelope.
    kept_reach(client, 4).await;
    quiet(client, PAYMENTS, &format!("{name}__charge")).await;
    quiet(client, PAYMENTS, &format!("{name}__hang")).await;
    service
}

#[tokio::test]
async fn what_came_of_messages_is_counted_and_measured() {
    let server = server();
    let client = connect(&server).await;
    let counted = a_day_of("counted", &client).await;
    let now = figures(address(&counted), "counted").await;
    let consumed = "messaging_client_consumed_messages_total{";
    let handled = [
        consumed,
        PROCESSED,
        "consumer=\"counted__charge\"",
        "outcome=\"handled\"",
    ];
    is(&now, 2, &handled);
    is(&now, 1, &[consumed, PROCESSED, "outcome=\"declined\""]);
    for (class, count) in [("failed", 1), ("rejected", 1), ("panicked", 2), ("malformed", 1)] {
        let class = format!("error_class=\"{class}\"");
        is(&now, count, &[consumed, PROCESSED, "outcome=\"failed\"", &class]);
    }
    let cut_off = [
        consumed,
        REFUNDED,
        "outcome=\"failed\"",
        "error_class=\"timed_out\"",
    ];
    is(&now, 2, &cut_off);
    is(&now, 10, &[consumed]);
    let duration = "messaging_process_duration_seconds_count{";
    is(&now, 8, &[duration, PROCESSED]);
    is(&now, 2, &[duration, REFUNDED]);
    is(
        &now,
        10,
        &["messaging_process_duration_seconds_bucket{", "le=\"+Inf\""],
    );
    is(&now, 3, &["tidewire_critical_time_seconds_count{"]);
    let took = sum(&now, &["messaging_process_duration_seconds_sum{", "failed"]);
    assert!(took > 0.2, "two were cut off after a tenth of a second: {took}");
    let sent = "messaging_client_sent_messages_total{";
    is(&now, 5, &[sent, PROCESSED, "outcome=\"stored\""]);
    is(&now, 1, &[sent, REFUNDED, "outcome=\"stored\""]);
    is(
        &now,
        2,
        &[
            sent,
            "message=\"orders.shipping.parcel.booked\"",
            "outcome=\"stored\"",
        ],
    );
    is(&now, 8, &[sent]);
    let tally = counted.tally();
    let charge = &tally["counted__charge"];
    let counts = (charge["handled"], charge["panicked"], charge.values().sum());
    assert_eq!(counts, (2, 2, 8_u64), "the tally counts the same");
    assert_eq!(tally["counted__hang"], BTreeMap::from([("timed_out", 2)]));
}

#[tokio::test]
async fn what_was_not_handled_is_counted_and_every_metric_is_described() {
    let server = server();
    let client = connect(&server).await;
    let unlucky = a_day_of("unlucky", &client).await;
    let now = figures(address(&unlucky), "unlucky").await;
    is(&now, 3, &["tidewire_retries_total{"]);
    is(&now, 1, &["tidewire_retries_total{", "error_class=\"timed_out\""]);
    for (consumer, count) in [("charge", 3), ("hang", 1)] {
        let consumer = format!("consumer=\"unlucky__{consumer}\"");
        is(&now, count, &["tidewire_dead_letters_total{", &consumer]);
    }
    for class in ["rejected", "panicked", "timed_out", "malformed"] {
        let class = format!("error_class=\"{class}\"");
        is(&now, 1, &["tidewire_dead_letters_total{", &class]);
    }
    is(&now, 1, &["tidewire_build_info{", "version=\"1.2.3\""]);
    is(&now, 1, &["tidewire_connected{"]);
    eventually("its error events are counted", async || {
        let now = figures(address(&unlucky), "unlucky").await;
        (sum(&now, &["tidewire_error_events_total{", "outcome=\"stored\""]) - 7.0).abs() < 1e-6
    })
    .await;
    let page = include_str!("../../../../book/src/telemetry.md");
    let (_, text) = get(address(&unlucky), "/metrics").await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|line| line.split(' ').next());
    // What another test counts of its own is on nobody's page.
    for name in names.filter(|name| !name.contains("_of_mine_")) {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "the page has no line for {name}"
        );
        assert!(
            text.contains(&format!("# HELP {name} ")),
            "{name} is not described"
        );
    }
}

#[tokio::test]
async fn what_is_in_flight_and_a_breaker_that_opens_are_shown() {
    let (server, till) = (server(), Till::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = Service::new("shipping-g", "1.0.0")
        .context(Context::new("orders.shipping"))
        .publishes::<ParcelBooked>()
        .start(client.clone());
    let _shipping = shipping.await.unwrap();
    let breaker = Breaker::new("gateway").first_wait(Duration::from_millis(20));
    let gauged = Service::new("gauged", "1.0.0")
        .state(till.clone())
        .on(durable("charge", charge).circuit_breaker(&breaker))
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    let at = address(&gauged);
    let shows = async |name: &str, value: f64| {
        eventually(&format!("{name} is {value}"), async || {
            let now = figures(at, "gauged").await;
            (sum(&now, &[name, "consumer=\"gauged__charge\""]) - value).abs() < 1e-6
        })
        .await;
    };
    let waiting = |key: &str| PaymentProcessed {
        note: "wait".into(),
        ..processed(key)
    };
    shows("tidewire_in_flight_messages{", 0.0).await;
    for key in ["a", "b", "c"] {
        payments.bus().publish(&waiting(key)).await.unwrap();
    }
    shows("tidewire_in_flight_messages{", 3.0).await;
    till.gate.add_permits(3);
    shows("tidewire_in_flight_messages{", 0.0).await;

    till.down.store(true, Ordering::SeqCst);
    breaker.open();
    shows("tidewire_circuit_breaker_state{", 2.0).await;
    let (status, text) = get(at, "/readyz").await;
    assert!(
        status == 200 && text.contains("degraded: breaker-gateway: "),
        "{text}"
    );
    assert!(gauged.not_ready().is_empty() && gauged.degraded().contains_key("breaker-gateway"));
    till.down.store(false, Ordering::SeqCst);
    breaker.release();
    shows("tidewire_circuit_breaker_state{", 0.0).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(get(at, "/readyz").await, (200, "ready\n".into()));
    assert!(gauged.degraded().is_empty());
}
