//! That what is measured is what was there, and that everything promised is there and described.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tidewire::{CircuitState, Running, Timestamp, async_nats::Client, prelude::*};
use tokio::sync::Semaphore;

use super::{ANY, PROCESSED, address, is};
use crate::support::{
    PAYMENTS, PaymentProcessed, connect, eventually,
    http::{figures, get, sum},
    jetstream, kept, payments, processed, quiet, server,
};

/// What the page of telemetry and the design promise, with its type.
const PROMISED: [(&str, &str); 16] = [
    ("messaging_client_consumed_messages_total", "counter"),
    ("messaging_client_sent_messages_total", "counter"),
    ("messaging_process_duration_seconds", "histogram"),
    ("tidewire_build_info", "gauge"),
    ("tidewire_circuit_breaker_state", "gauge"),
    ("tidewire_connected", "gauge"),
    ("tidewire_consumer_oldest_pending_seconds", "gauge"),
    ("tidewire_consumer_pending_messages", "gauge"),
    ("tidewire_consumer_redelivered_messages", "gauge"),
    ("tidewire_consumer_unacknowledged_messages", "gauge"),
    ("tidewire_critical_time_seconds", "histogram"),
    ("tidewire_dead_letters_total", "counter"),
    ("tidewire_error_events_total", "counter"),
    ("tidewire_in_flight_messages", "gauge"),
    ("tidewire_reconnects_total", "counter"),
    ("tidewire_retries_total", "counter"),
];

async fn ignore(Event(_): Event<PaymentProcessed>) {}

/// A service that keeps the stream of payments, and reads it.
async fn reading(name: &str, client: &Client) -> Running {
    let service = Service::new(name, "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentProcessed>()
        .on(durable("read", ignore))
        .monitor(ANY);
    service.start(client.clone()).await.unwrap()
}

#[tokio::test]
async fn every_promised_metric_is_there_from_the_start_with_its_help_and_its_type() {
    let server = server();
    let client = connect(&server).await;
    let described = reading("described", &client).await;
    let (_, text) = get(address(&described), "/metrics").await;
    let ours = figures(address(&described), "described").await;
    for (name, kind) in PROMISED {
        assert!(
            text.contains(&format!("# TYPE {name} {kind}\n")),
            "{name} is no {kind}"
        );
        let help = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 10), "{name}: {help:?}");
        let series = if kind == "histogram" {
            format!("{name}_count{{")
        } else {
            format!("{name}{{")
        };
        assert!(
            ours.keys().any(|known| known.starts_with(&series)),
            "{series}: there is no series of {name}"
        );
    }
    let labels = ours.keys().flat_map(|series| labels(series));
    let labels: BTreeSet<_> = labels.filter(|label| *label != "le").collect();
    assert_eq!(
        labels,
        [
            "consumer",
            "error_class",
            "message",
            "outcome",
            "service",
            "tidewire",
            "version"
        ]
        .into()
    );
    let page = include_str!("../../../../../book/src/telemetry.md");
    let rows: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, rest)| {
            ["counter |", "gauge |", "histogram |"]
                .iter()
                .any(|kind| rest.starts_with(kind))
        })
        .filter_map(|(name, rest)| Some((name, rest.split_once(" |")?.0)))
        .collect();
    assert_eq!(rows, PROMISED.into(), "the page has the same");
}

/// The names of the labels of a series, `name{label="value",…}`.
fn labels(series: &str) -> impl Iterator<Item = &str> {
    let (_, labels) = series.split_once('{').unwrap();
    let labels = labels.trim_end_matches('}').split(',');
    labels.map(|label| label.split('=').next().unwrap())
}

/// The bounds of a histogram's buckets, as they are written, in the order of the page.
async fn bounds(running: &Running, name: &str) -> Vec<String> {
    let (_, text) = get(address(running), "/metrics").await;
    let service = format!("service=\"{}\"", "bounded-times");
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}_bucket{{")) && line.contains(&service));
    let mut seen = Vec::new();
    for line in lines.filter(|line| !line.contains("outcome=") || line.contains("outcome=\"handled\"")) {
        let (_, bound) = line.split_once("le=\"").unwrap();
        seen.push(bound.split('"').next().unwrap().to_owned());
    }
    seen
}

#[tokio::test]
async fn histograms_have_the_buckets_that_the_page_says() {
    let server = server();
    let client = connect(&server).await;
    let bounded = reading("bounded-times", &client).await;
    assert_eq!(
        bounds(&bounded, "messaging_process_duration_seconds").await,
        [
            "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5",
            "10", "30", "+Inf"
        ]
    );
    assert_eq!(
        bounds(&bounded, "tidewire_critical_time_seconds").await,
        [
            "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "5", "30", "300",
            "1800", "+Inf"
        ]
    );
    // A histogram of the user's own is one, too: a summary could not be added up over instances.
    metrics::histogram!("bounded_times_of_mine_seconds").record(0.2);
    let (_, text) = get(address(&bounded), "/metrics").await;
    assert!(
        text.contains("# TYPE bounded_times_of_mine_seconds histogram\n"),
        "{text}"
    );
}

/// Publishes a payment that says it was sent so many seconds ago, as another program writes it.
async fn sent_ago(client: &Client, key: &str, ago: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = Timestamp::from_unix(now.saturating_sub(ago));
    let body = format!(
        r#"{{"type":"event","id":"n-{key}","timestamp":"{timestamp}","data":{{"payment_id":"{key}"}},"metadata":{{}}}}"#
    );
    let subject = format!("orders.payments.payment.processed.{key}");
    let stored = jetstream(client).publish(subject, body.into()).await;
    stored.unwrap().await.unwrap();
}

/// The critical time is that since the message says it was sent, and not since it was stored or delivered.
#[tokio::test]
async fn the_critical_time_is_counted_from_the_time_that_the_message_says() {
    let server = server();
    let client = connect(&server).await;
    let timely = reading("timely", &client).await;
    let began = Instant::now();
    sent_ago(&client, "a", Duration::from_secs(1000)).await;
    sent_ago(&client, "b", Duration::from_secs(100)).await;
    quiet(&client, PAYMENTS, "timely__read").await;
    let now = figures(address(&timely), "timely").await;
    let took = began.elapsed().as_secs_f64();
    let of = |what: &str| format!("tidewire_critical_time_seconds_{what}{{");
    is(&now, 2, &[&of("count"), PROCESSED, "consumer=\"timely__read\""]);
    let summed = sum(&now, &[&of("sum"), PROCESSED]);
    // A time stamp may be written in milliseconds.
    assert!(
        summed > 1099.99 && summed < 1100.01 + 2.0 * took,
        "{summed} after {took}"
    );
    for (bound, count) in [("30", 0), ("300", 1), ("1800", 2), ("+Inf", 2)] {
        is(
            &now,
            count,
            &[&of("bucket"), PROCESSED, &format!("le=\"{bound}\"")],
        );
    }
    let handling = sum(&now, &["messaging_process_duration_seconds_sum{", PROCESSED]);
    assert!(handling < took, "{handling} of {took}");
}

/// Whoever waits for a message waits for all of its attempts, and for the time between them.
#[tokio::test]
async fn the_critical_time_of_a_message_that_was_tried_again_is_that_of_all_attempts() {
    async fn at_last(Attempt(attempt): Attempt, _: Event<PaymentProcessed>) -> Result<(), Failure> {
        if attempt < 3 {
            return Err("no van is free").or_retry();
        }
        Ok(())
    }
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let retry = Retry::fixed(Duration::from_millis(400)).max_attempts(3);
    let late = Service::new("late", "1.0.0")
        .on(durable("at_last", at_last).retry(retry))
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    quiet(&client, PAYMENTS, "late__at_last").await;
    let now = figures(address(&late), "late").await;
    is(&now, 1, &["tidewire_critical_time_seconds_count{"]);
    is(&now, 3, &["messaging_process_duration_seconds_count{"]);
    // A time stamp may be written in milliseconds.
    let critical = sum(&now, &["tidewire_critical_time_seconds_sum{"]);
    assert!(critical > 0.798, "{critical}");
}

/// Both while the server is away and after it came back.
#[tokio::test]
async fn a_lost_connection_is_shown_and_counted_when_there_is_another_one() {
    let mut server = server();
    let client = connect(&server).await;
    let lonely = reading("lonely", &client).await;
    let at = address(&lonely);
    let shows = async |name: &str, value: f64| {
        eventually(&format!("{name} is {value}"), async || {
            let now: BTreeMap<_, _> = figures(at, "lonely").await;
            now.keys().any(|series| series.starts_with(name)) && (sum(&now, &[name]) - value).abs() < 1e-6
        })
        .await;
    };
    let (connected, reconnects) = ("tidewire_connected{", "tidewire_reconnects_total{");
    shows(connected, 1.0).await;
    shows(reconnects, 0.0).await;
    server.kill().unwrap();
    shows(connected, 0.0).await;
    let (status, text) = get(at, "/readyz").await;
    assert!(status == 503 && text.contains("\nconnection: "), "{text}");
    assert_eq!(get(at, "/livez").await.0, 200);
    server.restart().unwrap();
    shows(connected, 1.0).await;
    shows(reconnects, 1.0).await;
    eventually("it is ready again", async || get(at, "/readyz").await.0 == 200).await;
}

#[derive(Clone)]
struct Gateway {
    down: Arc<AtomicBool>,
    /// Whoever is served waits here.
    counter: Arc<Semaphore>,
}

async fn charge(State(gateway): State<Gateway>, Event(_): Event<PaymentProcessed>) -> Result<(), Failure> {
    if gateway.down.load(Ordering::SeqCst) {
        return Err("connection refused").or_unavailable();
    }
    gateway.counter.acquire().await.unwrap().forget();
    Ok(())
}

/// One that probes each second.
fn breaker() -> Breaker {
    let wait = Duration::from_secs(1);
    Breaker::new("gateway").first_wait(wait).longest_wait(wait)
}

fn charging(name: &str, gateway: &Gateway, breaker: &Breaker) -> Service<Gateway> {
    Service::new(name, "1.0.0")
        .state(gateway.clone())
        .on(durable("charge", charge).circuit_breaker(breaker))
        .monitor(ANY)
}

/// Nobody sets it by hand: the handler finds its gateway down, and its probe waits in the gateway.
#[tokio::test]
async fn a_breaker_is_shown_as_closed_open_and_half_open() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let gateway = Gateway {
        down: Arc::new(AtomicBool::new(true)),
        counter: Arc::new(Semaphore::new(0)),
    };
    let breaker = breaker();
    let probing = charging("probing", &gateway, &breaker).start(client.clone());
    let probing = probing.await.unwrap();
    let at = address(&probing);
    let shows = async |value: f64| {
        eventually(&format!("the breaker is {value}"), async || {
            let series = "tidewire_circuit_breaker_state{service=\"probing\",consumer=\"probing__charge\"}";
            let now = figures(at, "probing").await;
            now.get(series).is_some_and(|state| (state - value).abs() < 1e-6)
        })
        .await;
    };
    let degraded = async || {
        let (status, text) = get(at, "/readyz").await;
        assert_eq!(status, 200, "{text}");
        text.contains("degraded: breaker-gateway: ")
    };
    shows(0.0).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    shows(2.0).await;
    gateway.down.store(false, Ordering::SeqCst);
    shows(1.0).await;
    assert!(degraded().await, "a breaker that probes is not closed yet");
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    gateway.counter.add_permits(1);
    shows(0.0).await;
    eventually("nothing is degraded", async || !degraded().await).await;
}

/// A new instance takes the place of one whose breaker is open, and is ready though its own opens too.
#[tokio::test]
async fn an_open_breaker_stops_no_deployment() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let gateway = Gateway {
        down: Arc::new(AtomicBool::new(true)),
        counter: Arc::new(Semaphore::new(1_000_000)),
    };
    let start = async || {
        let deployed = charging("deployed", &gateway, &breaker());
        let deployed = deployed.start(connect(&server).await).await.unwrap();
        eventually("its breaker is open, and it is ready", async || {
            // The one before may have asked for some of them.
            payments.bus().publish(&processed("p")).await.unwrap();
            let (status, text) = get(address(&deployed), "/readyz").await;
            assert_eq!(status, 200, "{text}");
            text.contains("degraded: breaker-gateway: ")
        })
        .await;
        deployed
    };
    let first = start().await;
    let _second = start().await;
    first.stop().await.unwrap();
    gateway.down.store(false, Ordering::SeqCst);
    quiet(&client, PAYMENTS, "deployed__charge").await;
    assert!(kept(&client).await.is_empty());
}
