//! `tidewire bench`.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tidewire::Connection;
use tidewire_server::Server;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use crate::{
    run::{ended_within, on, run},
    services::{connect, world},
};

/// The streams of the benchmarks.
async fn streams(nats: &Connection) -> Vec<String> {
    let js = nats.jetstream();
    let mut names: Vec<String> = js.stream_names().try_collect().await.unwrap();
    names.retain(|name| name.contains("BENCH"));
    names
}

/// Benchmarks beside each other measure each other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// So many messages take a busy machine longer than other verbs.
const MEASURED_WITHIN: Duration = Duration::from_secs(300);

#[tokio::test]
async fn what_is_measured_is_a_line_each_and_its_streams_are_gone() {
    let _alone = ALONE.lock().await;
    let (server, _running) = world().await;
    let nats = connect(&server).await;
    let measuring = on(&server, &["bench", "--small", "--json"]);
    let ran = ended_within(MEASURED_WITHIN, measuring).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.json_lines();
    let workloads: Vec<_> = lines
        .iter()
        .filter_map(|line| line["workload"].as_str())
        .collect();
    let all = [
        "live",
        "ask-64",
        "ask-1",
        "publish",
        "consume-1",
        "consume-64",
        "latency",
    ];
    assert_eq!(workloads, all);
    for line in &lines {
        let (messages, seconds) = (line["messages"].as_f64(), line["seconds"].as_f64());
        let rate = messages.unwrap() / seconds.unwrap();
        assert!(
            rate > 0.0 && (line["rate"].as_f64().unwrap() / rate - 1.0).abs() < 0.01,
            "{line}"
        );
        let is_timed = matches!(line["workload"].as_str(), Some("ask-1" | "latency"));
        for time in ["p50", "p99"] {
            assert_eq!(line.get(time).is_some(), is_timed, "{line}");
        }
        let (cpu, peak) = (line["cpu"].as_f64(), line["peak"].as_u64());
        if cfg!(target_os = "linux") {
            // In seconds and KiB: of a process that has done something, and was not a gigabyte large.
            assert!(
                cpu.unwrap() > 0.0 && (1 << 10..1 << 20).contains(&peak.unwrap()),
                "{line}"
            );
        } else {
            assert_eq!((cpu, peak), (None, None), "{line}");
        }
    }
    assert_eq!(streams(&nats).await, Vec::<String>::new());

    let ran = run(&server, &["bench", "--only", "fast"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("there is no workload `fast`"), "{ran:?}");
}

#[tokio::test]
async fn a_person_sees_a_row_for_each_workload() {
    let _alone = ALONE.lock().await;
    let (server, _running) = world().await;
    let measuring = on(&server, &["bench", "--small", "--only", "ask-1,publish"]);
    let ran = ended_within(MEASURED_WITHIN, measuring).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    for column in ["WORKLOAD", "A SECOND", "P50 µs", "P99 µs", "CPU s/M", "PEAK MB"] {
        assert!(lines[0].contains(column), "{column}: {ran:?}");
    }
    assert!(
        lines[1].starts_with("ask-1 ") && lines[2].starts_with("publish "),
        "{ran:?}"
    );
    // Two more figures where each question was timed.
    let figures = |line: &str| {
        line.split("  ")
            .filter(|cell| cell.trim().parse::<f64>().is_ok())
            .count()
    };
    if cfg!(target_os = "linux") {
        assert_eq!((figures(lines[1]), figures(lines[2])), (5, 3), "{ran:?}");
    }
}

/// The address of a server that sees its clients as coming from another machine: it is this one, behind somebody who changes
/// what it says first.
async fn far(server: &Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let real = server.url().replace("nats://", "");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(real.clone()).await.unwrap();
            tokio::spawn(through(client, upstream));
        }
    });
    format!("nats://{address}")
}

async fn through(mut client: TcpStream, upstream: TcpStream) -> std::io::Result<()> {
    let mut upstream = BufStream::new(upstream);
    let mut info = String::new();
    upstream.read_line(&mut info).await?;
    let told = info.replace("\"client_ip\":\"127.0.0.1\"", "\"client_ip\":\"192.0.2.7\"");
    assert_ne!(told, info, "the server says where its client is");
    client.write_all(told.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_on_another_machine_is_asked_about_first() {
    let _alone = ALONE.lock().await;
    let (server, _running) = world().await;
    let (nats, url) = (connect(&server).await, far(&server).await);
    let there = |args: &[&str]| {
        let mut command = on(&server, args);
        command.env("NATS_URL", &url);
        command
    };
    let small = ["bench", "--small", "--only", "publish", "--json"];
    let ran = ended_within(MEASURED_WITHIN, there(&small)).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert!(
        ran.stderr
            .contains("sees this machine as 192.0.2.7: it is another one")
            && ran.stderr.contains("say --yes"),
        "{ran:?}"
    );
    let dry = [&small[..], &["--dry-run"]].concat();
    let ran = ended_within(MEASURED_WITHIN, there(&dry)).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    // Nothing was measured, and nothing is there.
    assert_eq!(streams(&nats).await, Vec::<String>::new());
    let yes = [&small[..], &["--yes"]].concat();
    let ran = ended_within(MEASURED_WITHIN, there(&yes)).await;
    assert_eq!((ran.code, ran.json_lines().len()), (Some(0), 1), "{ran:?}");
}

#[tokio::test]
async fn what_was_made_is_removed_after_an_interrupt_too() {
    let _alone = ALONE.lock().await;
    let (server, _running) = world().await;
    let nats = connect(&server).await;
    // Whoever interrupts it may be late: all of these take many seconds.
    let all = "publish,consume-1,consume-64,latency";
    let mut child = on(&server, &["bench", "--only", all]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while streams(&nats).await.is_empty() {
        assert!(Instant::now() < deadline, "no stream within 60 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    kill_process(id.unwrap(), Signal::INT).unwrap();
    let status = child.wait().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(streams(&nats).await, Vec::<String>::new());
}
