//! `tidewire lag` and `tidewire consumers`.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tidewire::async_nats::{
    datetime::parse_rfc3339,
    jetstream::{self, AckKind, consumer::pull},
};
use tidewire_server::Server;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::ChildStdout,
    time::timeout,
};

use crate::{
    run::{Ran, on, run, within},
    services::{connect, payments, shipping},
};

const DURABLE: &str = "shipping__ship-on-payment";
const STREAM: &str = "ORDERS__PAYMENTS";
const BOUND: Duration = Duration::from_secs(30);

/// Waits until so many messages wait for the durable: a publisher has its ack a moment before consumers count.
async fn counted(js: &jetstream::Context, stream: &str, pending: u64) {
    let stream = js.get_stream(stream).await.unwrap();
    within("all are counted", async || {
        stream.consumer_info(DURABLE).await.unwrap().num_pending == pending
    })
    .await;
}

/// Two services that have stopped, and what they left: two messages, one of which waits for another attempt; a replay;
/// and a consumer of somebody else whose name a terminal would obey.
async fn left() -> Server {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    shipping()
        .start(nats.clone())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    payments.stop().await.unwrap();
    let js = nats.jetstream();
    for subject in [
        "orders.payments.payment.processed.p-1",
        "orders.payments.payment.processed.p-2",
    ] {
        js.publish(subject, "{}".into()).await.unwrap().await.unwrap();
    }
    counted(&js, STREAM, 2).await;
    let stream = js.get_stream(STREAM).await.unwrap();
    let consumer = stream.get_consumer::<pull::Config>(DURABLE).await.unwrap();
    let mut batch = consumer.fetch().max_messages(1).messages().await.unwrap();
    let message = futures_util::StreamExt::next(&mut batch).await.unwrap().unwrap();
    let later = AckKind::Nak(Some(Duration::from_secs(3600)));
    message.double_ack_with(later).await.unwrap();
    stream
        .pause_consumer(DURABLE, parse_rfc3339("2100-01-01T00:00:00Z").unwrap())
        .await
        .unwrap();
    let foreign = pull::Config {
        durable_name: Some("legacy".into()),
        ..pull::Config::default()
    };
    stream.create_consumer(foreign).await.unwrap();
    server
}

/// Ages differ from run to run, and the widths of their columns with them.
fn shown(ran: &Ran) -> String {
    let is_time = |cell: &str| {
        let unit = [" s", " m", " h"].iter().any(|unit| cell.ends_with(unit));
        unit && cell.starts_with(|first: char| first.is_ascii_digit())
    };
    let text = ran.shown(&[]);
    let lines = text.lines().map(|line| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let cells: Vec<_> = cells
            .map(|cell| if is_time(cell) { "TIME" } else { cell })
            .collect();
        match cells.join("  ").split_once("PAUSED for ") {
            Some((before, _)) => format!("{before}PAUSED for TIME more"),
            None => cells.join("  "),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_waits_is_shown_worst_first() {
    let server = left().await;
    let js = connect(&server).await.jetstream();
    for (name, args) in [
        ("lag", &["lag", "--interval", "50ms"][..]),
        ("lag_foreign", &["lag", "--foreign", "--interval", "50ms"]),
        ("lag_of_a_service", &["lag", "shipping", "--interval", "50ms"]),
        ("lag_unknown", &["lag", "till", "--interval", "50ms"]),
        ("lag_wrong_interval", &["lag", "--interval", "soon"]),
        ("lag_count_alone", &["lag", "--count", "3"]),
    ] {
        assert_snapshot!(name, shown(&run(&server, args).await));
    }
    let ran = run(&server, &["lag", "till", "--json", "--interval", "50ms"]).await;
    assert_eq!((ran.code, &ran.json()["consumers"]), (Some(1), &json!([])));
    let replay = js.publish("retry.shipping.ship-on-payment.x", "{}".into()).await;
    replay.unwrap().await.unwrap();
    counted(&js, "TW_SHIPPING", 1).await;
    let ran = run(&server, &["lag", "--interval", "50ms"]).await;
    assert_snapshot!("lag_with_a_replay", shown(&ran));

    let ran = run(&server, &["lag", "--json", "--watch=50ms", "--count", "2"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let looks = ran.json_lines();
    assert_eq!(looks.len(), 2);
    for look in &looks {
        let first = &look["consumers"][0];
        assert_eq!(
            (
                &first["pending"],
                &first["unacknowledged"],
                &first["drain"],
                &first["paused"]
            ),
            (&json!(1), &json!(1), &json!("never"), &json!(true))
        );
        assert!(first["oldest_seconds"].as_f64().unwrap() > 0.0);
        assert!(first["measured_seconds"].as_f64().unwrap() >= 0.05);
        assert_eq!(first["in_per_second"], json!(0.0));
    }
    let names: Vec<_> = looks[0]["consumers"][0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_names("lag", &names).await;
}

#[tokio::test]
async fn consumers_are_shown_with_their_settings_and_places() {
    let server = left().await;
    for (name, args) in [
        ("consumers", &["consumers"][..]),
        ("consumers_of_a_stream", &["consumers", STREAM, "--foreign"]),
        ("consumers_unknown", &["consumers", "till"]),
    ] {
        assert_snapshot!(name, shown(&run(&server, args).await));
    }
    let _running = shipping().start(connect(&server).await).await.unwrap();
    let ran = run(&server, &["consumers", "shipping", "--json"]).await;
    let json = ran.json();
    let first = &json["consumers"][0];
    assert_eq!(
        (&first["consumer"], &first["delivered"]),
        (&json!(DURABLE), &json!(1))
    );
    assert_eq!(first["filters"], json!(["orders.payments.payment.processed.*"]));
    assert_eq!(first["instances"].as_array().unwrap().len(), 1);
    let names: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_names("consumers", &names).await;
}

/// Every field that is printed is one that the help names.
async fn assert_names(verb: &str, names: &[String]) {
    let help = crate::run::ended(crate::run::command(&[verb, "--help"]))
        .await
        .stdout;
    let (_, fields) = help.split_once("JSON: ").unwrap();
    let told: Vec<_> = fields
        .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
        .collect();
    for name in names {
        assert!(
            told.contains(&name.as_str()),
            "{name} is not in the help of {verb}"
        );
    }
}

#[tokio::test]
async fn an_empty_account_is_said_to_be_empty() {
    let server = Server::start().unwrap();
    let ran = run(&server, &["lag", "--json", "--interval", "10ms"]).await;
    let json = ran.json();
    assert_eq!(
        (ran.code, &json["consumers"], &json["unanswered"]),
        (Some(0), &json!([]), &json!([]))
    );
    let json = run(&server, &["consumers", "--json"]).await.json();
    assert_eq!(
        (&json["consumers"], &json["unanswered"]),
        (&json!([]), &json!([]))
    );
    assert_snapshot!(
        "lag_empty",
        run(&server, &["lag", "--interval", "10ms"]).await.shown(&[])
    );
    let off = Server::builder().jetstream(false).start().unwrap();
    assert_snapshot!("lag_without_jetstream", run(&off, &["lag"]).await.shown(&[]));
}

type Printed = Lines<BufReader<ChildStdout>>;

async fn next_line(lines: &mut Printed) -> String {
    let line = timeout(BOUND, lines.next_line()).await;
    line.unwrap().unwrap().unwrap()
}

/// What the next look shows of the durable, by column.
async fn next_row(lines: &mut Printed) -> HashMap<String, String> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    };
    let head = loop {
        let line = next_line(lines).await;
        if line.starts_with("HANDLER") {
            break cells(&line);
        }
    };
    let row = next_line(lines).await;
    assert!(row.starts_with(DURABLE), "{row}");
    let row = cells(&row);
    assert_eq!(head.len(), row.len(), "{head:?} {row:?}");
    head.into_iter().zip(row).collect()
}

async fn next_pending(lines: &mut Printed) -> String {
    next_row(lines).await.remove("PENDING").unwrap()
}

/// Each look shows what is there by then, and Ctrl-C is a good end.
#[tokio::test]
async fn a_watch_looks_again_and_ends_well_when_it_is_asked_to() {
    for verb in ["lag", "consumers"] {
        let server = left().await;
        let js = connect(&server).await.jetstream();
        let mut child = on(&server, &[verb, "--watch=20ms"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..2 {
            assert_eq!(next_pending(&mut lines).await, "1", "{verb}");
        }
        let third = js.publish("orders.payments.payment.processed.p-3", "{}".into());
        third.await.unwrap().await.unwrap();
        let deadline = Instant::now() + BOUND;
        while next_pending(&mut lines).await != "2" {
            assert!(
                Instant::now() < deadline,
                "{verb} does not show the third message"
            );
        }
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let output = timeout(BOUND, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{verb}");
    }
}

/// Looks until a row is as `wanted` has it.
async fn row_with(lines: &mut Printed, wanted: impl Fn(&HashMap<String, String>) -> bool) {
    let deadline = Instant::now() + BOUND;
    loop {
        let row = next_row(lines).await;
        if wanted(&row) {
            return;
        }
        assert!(Instant::now() < deadline, "{row:?}");
    }
}

/// What comes and is not settled, then what is settled while nothing comes, then what was delivered again.
#[tokio::test]
async fn a_watch_shows_rates_the_time_to_drain_and_what_was_delivered_again() {
    let server = left().await;
    let js = connect(&server).await.jetstream();
    let stream = js.get_stream(STREAM).await.unwrap();
    stream
        .pause_consumer(DURABLE, parse_rfc3339("2020-01-01T00:00:00Z").unwrap())
        .await
        .unwrap();
    let mut child = on(&server, &["lag", "--watch=500ms"])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    row_with(&mut lines, |row| row["IN/S"] == "0").await;
    for _ in 0..40 {
        let sent = js.publish("orders.payments.payment.processed.p-3", "{}".into());
        sent.await.unwrap().await.unwrap();
    }
    let comes = |row: &HashMap<String, String>| {
        row["IN/S"] != "0" && row["OUT/S"] == "0" && row["DRAINED IN"] == "never"
    };
    row_with(&mut lines, comes).await;
    row_with(&mut lines, |row| row["IN/S"] == "0" && row["PENDING"] == "41").await;

    let consumer = stream.get_consumer::<pull::Config>(DURABLE).await.unwrap();
    let fetch = async |count: usize| -> Vec<_> {
        let messages = consumer.fetch().max_messages(count).messages().await.unwrap();
        messages.try_collect().await.unwrap()
    };
    for message in fetch(30).await {
        message.double_ack().await.unwrap();
    }
    let goes = |row: &HashMap<String, String>| {
        let drained = row["DRAINED IN"].as_str();
        row["IN/S"] == "0" && row["OUT/S"] != "0" && drained.ends_with(" s") && row["REDELIVERED"] == "0"
    };
    row_with(&mut lines, goes).await;

    for message in fetch(2).await {
        message.double_ack_with(AckKind::Nak(None)).await.unwrap();
    }
    assert_eq!(fetch(2).await.len(), 2);
    row_with(&mut lines, |row| row["REDELIVERED"] == "2" && row["PULLS"] == "0").await;
}

#[tokio::test]
async fn what_is_not_permitted_is_named() {
    let config = "authorization { timeout: 30, users: [ { user: blind, password: x, permissions: {
        publish: { deny: \"$JS.API.STREAM.LIST\" } } } ] }";
    let server = Server::builder().config(config).start().unwrap();
    let mut command = on(&server, &["lag", "--interval", "10ms"]);
    command.env("NATS_USER", "blind").env("NATS_PASSWORD", "x");
    assert_snapshot!("lag_not_permitted", crate::run::ended(command).await.shown(&[]));
}

/// The names that a message or a program chose are shown as they are read, and no terminal obeys them.
#[tokio::test]
async fn what_a_terminal_would_obey_is_written_out() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let config = tidewire::async_nats::jetstream::stream::Config {
        name: "EVENTS".into(),
        subjects: vec!["event.>".into()],
        ..Default::default()
    };
    let stream = nats.jetstream().create_stream(config).await.unwrap();
    let hostile = "ship\u{1b}[2J\u{202e}";
    let consumer = pull::Config {
        durable_name: Some(hostile.into()),
        ..pull::Config::default()
    };
    stream.create_consumer(consumer).await.unwrap();
    for args in [
        &["lag", "--foreign", "--interval", "10ms"][..],
        &["consumers", "--foreign"],
        &["lag", "--foreign", "--json", "--interval", "10ms"],
    ] {
        let ran = run(&server, args).await;
        assert!(!ran.stdout.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
        assert!(ran.stdout.contains("ship"), "{ran:?}");
    }
    let json: Value = run(&server, &["consumers", "--foreign", "--json"]).await.json();
    assert_eq!(json["consumers"][0]["consumer"], hostile);
}
