//! What goes wrong under a verb, each provoked with the real binary: it says what, where, and what to do.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tidewire_server::{Binary, Server};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use crate::{
    letters::{World, failed},
    raw::publish_raw,
    run::{command, ended, on, run},
    services::{connect, round_trip},
};

const BOUND: Duration = Duration::from_secs(60);
const PROCESSED: &str = "orders.payments.payment.processed.p-1";

fn program(folder: &Path, name: &str, script: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_server_that_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let real = Binary::find_or_install().unwrap();
    let script = format!(
        "echo $$ > {}\nexec {} \"$@\"",
        pid.display(),
        real.path().display()
    );
    let mut command = command(&["server", "run", "--port", "0"]);
    command.env(
        "TIDEWIRE_NATS_SERVER",
        program(folder.path(), "nats-server", &script),
    );
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
        if line == "Ctrl-C ends it" {
            break;
        }
    }
    let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let output = timeout(BOUND, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let (said, log) = said.split_once('\n').unwrap();
    assert!(log.contains("Server is ready"), "{log}");
    assert_snapshot!("wrong_server_ended", said);
}

#[tokio::test]
async fn a_server_that_cannot_begin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let silent = program(folder.path(), "silent", "exit 7");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let gone = folder.path().join("gone").display().to_string();
    for (what, args, binary) in [
        ("no_binary", &["server", "path"][..], Some(&gone)),
        ("no_server", &["server", "path"], Some(&silent)),
        (
            "no_folder",
            &["server", "run", "--port", "0", "--store-dir", &file],
            None,
        ),
    ] {
        let mut command = command(args);
        command.envs(binary.map(|binary| ("TIDEWIRE_NATS_SERVER", binary)));
        let ran = ended(command).await;
        let shown = ran.shown(&[(&path, "FOLDER")]);
        // The end of the server's log differs from run to run.
        let shown: Vec<_> = shown.lines().filter(|line| !line.starts_with('[')).collect();
        assert_snapshot!(format!("wrong_{what}"), shown.join("\n"));
    }
}

/// What the command itself says; the client's task says on its own how it died.
fn own(stderr: &str) -> String {
    let own = stderr.lines().filter(|line| line.starts_with("tidewire: "));
    own.collect::<Vec<_>>().join("\n")
}

/// No client can take this header: its connection ends for good.
#[tokio::test]
async fn a_connection_that_dies_under_a_tail() {
    let server = Server::start().unwrap();
    let mut child = on(&server, &["tail", "plain"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    timeout(BOUND, stderr.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    publish_raw(server.port(), "plain", b"NATS/1.0\r\nx-note: a\rb\r\n\r\n", b"");
    let mut rest = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut rest);
    timeout(BOUND, reading).await.unwrap().unwrap();
    let status = timeout(BOUND, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1), "{rest}");
    assert_snapshot!("wrong_tail_closed", own(&rest));
}

#[tokio::test]
async fn a_benchmark_that_cannot_be_run() {
    let off = Server::builder().jetstream(false).start().unwrap();
    let ran = run(&off, &["bench", "--only", "publish"]).await;
    assert_snapshot!("wrong_bench_without_jetstream", ran.shown(&[]));
    let ran = run(&off, &["bench", "--only", "fast"]).await;
    assert_snapshot!("wrong_bench_unknown", ran.shown(&[]));
}

#[tokio::test]
async fn files_that_cannot_be_read_or_written() {
    let world = World::start().await;
    let id = world.letter(&failed(1, PROCESSED)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let gone = folder.path().join("gone").display().to_string();
    let under = format!("{gone}/letters");
    let junk = folder.path().join("junk");
    fs::write(&junk, [0xff, 0xfe]).unwrap();
    let junk = format!("@{}", junk.display());
    let edit = ["dlq", "edit", id.as_str()];
    for (what, args) in [
        ("no_patch", &[&edit[..], &["--patch", &gone]].concat()[..]),
        ("no_payload", &[&edit[..], &["--set", &gone]].concat()),
        ("no_import", &["dlq", "import", &gone]),
        ("no_export", &["dlq", "export", "--to", &under]),
        ("no_text", &["publish", "orders.returns.closed", "--data", &junk]),
        (
            "no_header",
            &[
                "publish",
                "orders.returns.closed",
                "--data",
                "{}",
                "-H",
                "x-tenant",
            ],
        ),
    ] {
        let ran = run(&world.server, args).await;
        assert_snapshot!(format!("wrong_file_{what}"), ran.shown(&[(&path, "FOLDER")]));
    }
    assert_eq!(world.acts(&id).await, ["failed"]);
}

#[tokio::test]
async fn an_editor_that_does_not_do() {
    let world = World::start().await;
    let id = world.letter(&failed(1, PROCESSED)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let gone = folder.path().join("gone").display().to_string();
    let breaks = program(folder.path(), "breaks", "echo '{' > $1");
    for (what, editor, room) in [
        ("missing", &gone, &path),
        ("no_room", &breaks, &gone),
        ("breaks_json", &breaks, &path),
    ] {
        let mut command = on(&world.server, &["dlq", "edit", id.as_str()]);
        command.env("VISUAL", editor).env("TMPDIR", room);
        let ran = ended(command).await;
        let kept = fs::read_dir(&path).unwrap().filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.starts_with("tidewire-letter-").then_some(name)
        });
        let kept: Vec<_> = kept.collect();
        // What somebody wrote is not lost.
        assert_eq!(kept.len(), usize::from(what == "breaks_json"), "{kept:?}");
        // Its name is another one each time.
        let name = ran
            .stderr
            .split_once("tidewire-letter-")
            .map(|(_, behind)| &behind[..6]);
        let stands = [(&*path, "FOLDER"), (name.unwrap_or("no name"), "XXXXXX")];
        assert_snapshot!(format!("wrong_editor_{what}"), ran.shown(&stands));
    }
    assert_eq!(world.acts(&id).await, ["failed"]);
}

/// A server that has lost what it keeps, as far as its answers tell.
async fn forgetful(answers: &[(&'static str, Value)]) -> Server {
    let server = Server::builder().jetstream(false).start().unwrap();
    let nats = connect(&server).await;
    for (question, answer) in answers {
        let mut questions = nats.client().subscribe(*question).await.unwrap();
        let (client, answer) = (nats.client(), answer.to_string());
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let inbox = question.reply.unwrap();
                client.publish(inbox, answer.clone().into()).await.unwrap();
            }
        });
    }
    round_trip(&nats).await;
    server
}

#[tokio::test]
async fn streams_and_consumers_without_a_leader() {
    let list = |items: &str, found: Value, missing: Value| {
        json!({ "type": format!("io.nats.jetstream.api.v1.{items}"), "total": 1, "offset": 0, "limit": 256,
            "streams": found, "missing": missing })
    };
    let streams = list("stream_list_response", json!([]), json!(["ORDERS__PAYMENTS"]));
    let consumers = json!({ "type": "io.nats.jetstream.api.v1.consumer_list_response", "total": 1, "offset": 0, "limit": 256,
        "consumers": [], "missing": ["shipping__ship"] });
    let found = json!([{ "config": { "name": "ORDERS__PAYMENTS" } }]);
    for (what, answers) in [
        ("stream", vec![("$JS.API.STREAM.LIST", streams)]),
        (
            "consumer",
            vec![
                (
                    "$JS.API.STREAM.LIST",
                    list("stream_list_response", found, json!([])),
                ),
                ("$JS.API.CONSUMER.LIST.ORDERS__PAYMENTS", consumers),
            ],
        ),
    ] {
        let server = forgetful(&answers).await;
        for args in [&["lag", "--interval", "10ms"][..], &["consumers"]] {
            let ran = run(&server, args).await;
            assert_snapshot!(format!("wrong_{}_no_leader_of_a_{what}", args[0]), ran.shown(&[]));
        }
    }
}

#[tokio::test]
async fn who_runs_may_not_be_asked() {
    let users = r#"authorization { timeout: 30, users: [
        { user: few, password: x, permissions: { publish: { deny: "$SRV.>" } } }
    ] }"#;
    let server = Server::builder().config(users).start().unwrap();
    for (what, args) in [
        ("consumers", &["consumers"][..]),
        ("explain", &["explain", PROCESSED]),
        ("breaker", &["breaker", "payments"]),
    ] {
        let mut command = on(&server, args);
        command.env("NATS_USER", "few").env("NATS_PASSWORD", "x");
        let ran = ended(command).await;
        assert_snapshot!(format!("wrong_who_runs_{what}"), ran.shown(&[]));
    }
}

/// The last word of a verb that works for long.
#[tokio::test]
async fn a_benchmark_that_is_interrupted() {
    let server = Server::start().unwrap();
    let js = connect(&server).await.jetstream();
    // Whoever interrupts it may be late: all of these take many seconds.
    let all = "publish,consume-1,consume-64,latency";
    let child = on(&server, &["bench", "--only", all]).spawn().unwrap();
    let deadline = Instant::now() + BOUND;
    while js.get_stream("TIDEWIRE-BENCH__ORDERS").await.is_err() {
        assert!(Instant::now() < deadline, "no stream within {BOUND:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = timeout(BOUND, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = own(&String::from_utf8(output.stderr).unwrap());
    assert_snapshot!("wrong_bench_interrupted", said.lines().last().unwrap());
}
