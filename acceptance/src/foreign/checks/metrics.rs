//! Prometheus reads what the shop says of itself, and it is what the streams hold.

use std::{collections::BTreeMap, error::Error, path::Path, time::Duration};

use serde_json::{Map, Value, json};
use tidewire::{Connection, Message, wire};
use tidewire_server::Server;
use tidewire_shop::{
    load::Storefront,
    messages::{ItemRejected, ItemReserved, OrderPlaced, PaymentFailed, PaymentProcessed, PaymentRequested},
    payments::{Faults, Gateway},
};
use tokio::time::{Instant, sleep};

use crate::{
    connecting::connected,
    prometheus::{Prometheus, Scraping},
    report::{Outcome, Report},
    shop,
};

/// The load: eight seconds of it, or until promtool has seen it.
const ORDERS: u64 = 240;
const A_SECOND: u32 = 30;
/// After so many orders all services have work.
const UNDER_WAY: u64 = 60;
/// How long the shop may take for the rest, and Prometheus to see the last of it.
const QUIET_WITHIN: Duration = Duration::from_secs(180);
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// The durables with their streams, each behind those whose events it takes.
const DURABLES: [(&str, &str); 7] = [
    ("orders__reserve-on-placed", "ORDERS__CHECKOUT"),
    ("orders__pay-on-reserved", "INVENTORY__STOCK"),
    ("payments__charge", "ORDERS__CHECKOUT"),
    ("orders__track", "INVENTORY__STOCK"),
    ("notifications__notify", "INVENTORY__STOCK"),
    ("orders__track", "ORDERS__PAYMENTS"),
    ("notifications__notify", "ORDERS__PAYMENTS"),
];

/// Figures by their labels.
type Figures = Map<String, Value>;

pub(crate) async fn check(report: &mut Report, prometheus: &Prometheus) -> Outcome {
    let folder = tempfile::tempdir()?;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src/alerts.yml");
    let said = prometheus
        .tool(&["check", "rules", &rules.display().to_string()], "")
        .await?;
    report.same("promtool takes the alert rules", &json!(""), &json!(said));

    let server = Server::start()?;
    let nats = connected(&server.url()).await?;
    let shop = shop::open(&server.url(), folder.path()).await?;
    // One in ten calls fails, some cards are not understood, and some make the client panic.
    Gateway::open(&nats).await?.set(Faults::bugs()).await?;
    let scraping = prometheus.scrape(&shop, folder.path(), &rules).await?;
    let storefront = Storefront::open(nats.clone()).await?;
    let mut under_load = Ok(Vec::new());
    let looked_at = async {
        placed(&storefront, UNDER_WAY).await;
        under_load = complaints(prometheus, &shop).await;
        placed(&storefront, ORDERS).await;
    };
    storefront.place_orders(A_SECOND, None, looked_at).await;
    quiet(&nats).await?;
    for (when, found) in [
        ("under load", under_load?),
        ("after it", complaints(prometheus, &shop).await?),
    ] {
        for (service, said) in shop::SERVICES.iter().zip(found) {
            let what = format!("promtool finds nothing wrong with the metrics of {service} {when}");
            report.same(&what, &json!(""), &json!(said));
        }
    }

    let kept = Kept::read(&nats).await?;
    // What is compared is not nothing.
    let charged = |class: &str| kept.dead.contains_key(&format!("payments__charge {class}"));
    report.same(
        "cards that the gateway or its client cannot take are dead letters",
        &json!([true, true]),
        &json!([charged("rejected"), charged("panicked")]),
    );
    let agree = [
        (
            "events that were published",
            r#"sum by (message) (messaging_client_sent_messages_total{outcome="stored", service=~"orders|inventory|payments"}) > 0"#,
            &["message"][..],
            kept.published,
        ),
        (
            "messages that were handled",
            r#"sum by (consumer) (messaging_client_consumed_messages_total{outcome!="failed"} and on (consumer) tidewire_retries_total{error_class="failed"})"#,
            &["consumer"][..],
            kept.handled,
        ),
        (
            "attempts that failed",
            r#"sum by (consumer, error_class) (messaging_client_consumed_messages_total{outcome="failed"} and on (consumer) tidewire_retries_total{error_class="failed"}) > 0"#,
            &["consumer", "error_class"][..],
            kept.failed,
        ),
        (
            "dead letters",
            "sum by (consumer, error_class) (tidewire_dead_letters_total) > 0",
            &["consumer", "error_class"][..],
            kept.dead,
        ),
    ];
    for (what, query, labels, expected) in agree {
        let expected = Value::from(expected);
        let found = seen(&scraping, query, labels, &expected).await?;
        // Neither has what the other has not.
        let whole =
            |figures: &Value| json!({ "series": figures.as_object().map(Map::len), "figures": figures });
        report.same(
            &format!("Prometheus has counted the {what} as the streams do"),
            &whole(&expected),
            &whole(&found.into()),
        );
    }
    for (what, query, expected) in [
        ("four services are up", "sum(up)", 4.0),
        ("all are connected", "min(tidewire_connected)", 1.0),
        ("nothing is in flight", "max(tidewire_in_flight_messages)", 0.0),
        ("each says what it is", "count(tidewire_build_info)", 4.0),
    ] {
        let expected = json!({ "": expected });
        let found = seen(&scraping, query, &[], &expected).await?;
        report.same(
            &format!("Prometheus sees: {what}"),
            &expected,
            &Value::from(found),
        );
    }
    storefront.close().await?;
    Ok(())
}

/// Returns once so many orders are placed.
async fn placed(storefront: &Storefront, orders: u64) {
    while (storefront.ledger().figures().asked as u64) < orders {
        sleep(Duration::from_millis(50)).await;
    }
}

/// What promtool complains of, by service.
async fn complaints(prometheus: &Prometheus, shop: &[shop::Process]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut complaints = Vec::new();
    for process in shop {
        let text = shop::get(process.address, "/metrics").await?;
        complaints.push(prometheus.tool(&["check", "metrics"], &text).await?);
    }
    Ok(complaints)
}

/// Asks until the answer is as expected, for as long as a last scrape may take; gives back the last answer.
async fn seen(
    scraping: &Scraping<'_>,
    query: &str,
    labels: &[&str],
    expected: &Value,
) -> Result<Figures, Box<dyn Error>> {
    let deadline = Instant::now() + SEEN_WITHIN;
    loop {
        let mut found = Figures::new();
        for (metric, value) in scraping.ask(query).await? {
            let name: Vec<_> = labels.iter().filter_map(|label| metric[label].as_str()).collect();
            found.insert(name.join(" "), value.into());
        }
        if Value::from(found.clone()) == *expected || Instant::now() > deadline {
            return Ok(found);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until nothing waits for any durable: what one of them has emitted is there before its message is done.
async fn quiet(nats: &Connection) -> Outcome {
    let deadline = Instant::now() + QUIET_WITHIN;
    for (consumer, stream) in DURABLES {
        let stream = nats.jetstream().get_stream_no_info(stream).await?;
        loop {
            let info = stream.consumer_info(consumer).await?;
            if info.num_pending == 0 && info.num_ack_pending == 0 {
                break;
            }
            if Instant::now() > deadline {
                let (pending, unacked) = (info.num_pending, info.num_ack_pending);
                return Err(format!("{consumer} is not done: {pending} wait, {unacked} are in hand").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// What the streams hold, read by nothing of what is checked.
struct Kept {
    published: Figures,
    handled: Figures,
    failed: Figures,
    dead: Figures,
}

impl Kept {
    async fn read(nats: &Connection) -> Result<Self, Box<dyn Error>> {
        let mut published = BTreeMap::new();
        for name in [
            OrderPlaced::TYPE.name,
            PaymentRequested::TYPE.name,
            ItemReserved::TYPE.name,
            ItemRejected::TYPE.name,
            PaymentProcessed::TYPE.name,
            PaymentFailed::TYPE.name,
        ] {
            published.insert(name, count(nats, name).await?);
        }
        let of = |names: &[&str]| -> u64 { names.iter().filter_map(|name| published.get(name)).sum() };
        let (reserved, rejected) = (ItemReserved::TYPE.name, ItemRejected::TYPE.name);
        let paid = [PaymentProcessed::TYPE.name, PaymentFailed::TYPE.name];
        let ends = of(&paid) + of(&[rejected]);
        let mut dead: BTreeMap<String, u64> = BTreeMap::new();
        let mut letters = 0;
        for headers in headers(nats, wire::DLQ_STREAM).await? {
            let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
            if header(wire::TW_ACT).as_deref() == Some("failed") {
                letters += 1;
                let (consumer, class) = (header(wire::TW_CONSUMER), header(wire::TW_ERROR_CLASS));
                let name = [consumer.unwrap_or_default(), class.unwrap_or_default()].join(" ");
                *dead.entry(name).or_default() += 1;
            }
        }
        let handled = BTreeMap::from([
            ("orders__reserve-on-placed", of(&[OrderPlaced::TYPE.name])),
            ("orders__pay-on-reserved", of(&[reserved])),
            ("payments__charge", of(&[PaymentRequested::TYPE.name]) - letters),
            ("orders__track", ends + of(&[reserved])),
            ("notifications__notify", ends),
        ]);
        published.retain(|_, count| *count > 0);
        Ok(Self {
            published: figures(published),
            handled: figures(handled),
            failed: figures(failures(nats).await?),
            dead: figures(dead),
        })
    }
}

/// As Prometheus has them.
#[expect(clippy::cast_precision_loss, reason = "there are some hundreds")]
fn figures<N: Into<String>>(counts: BTreeMap<N, u64>) -> Figures {
    let figures = counts.into_iter();
    figures
        .map(|(name, count)| (name.into(), (count as f64).into()))
        .collect()
}

/// How many messages of this name the stream of its context holds.
async fn count(nats: &Connection, name: &str) -> Result<u64, Box<dyn Error>> {
    let stream = tidewire::MessageName::parse(name)?.context_name().stream_name();
    let stream = nats.jetstream().get_stream(stream).await?;
    let mut subjects = stream.info_with_subjects(format!("{name}.>")).await?;
    let mut count = 0;
    while let Some(subject) = futures_util::TryStreamExt::try_next(&mut subjects).await? {
        count += subject.1 as u64;
    }
    Ok(count)
}

/// The headers of all that a stream holds.
async fn headers(
    nats: &Connection,
    stream: &str,
) -> Result<Vec<tidewire::async_nats::HeaderMap>, Box<dyn Error>> {
    let stream = nats.jetstream().get_stream(stream).await?;
    let mut headers = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        headers.push(stream.get_raw_message(sequence).await?.headers);
    }
    Ok(headers)
}

/// The failed attempts, by consumer and class: each has told of itself in the stream of errors.
async fn failures(nats: &Connection) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let stream = nats.jetstream().get_stream(wire::ERRORS_STREAM).await?;
    let mut failures = BTreeMap::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await?;
        let event: Value = serde_json::from_slice(&message.payload)?;
        let durable = event["data"]["details"]["durable"].as_str().unwrap_or_default();
        let service = event["metadata"]["source"].as_str().unwrap_or_default();
        let class = event["data"]["code"].as_str().unwrap_or_default();
        let name = format!("{} {class}", wire::consumer_name(service, durable));
        *failures.entry(name).or_default() += 1;
    }
    Ok(failures)
}
