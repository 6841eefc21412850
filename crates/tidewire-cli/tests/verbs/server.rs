//! `tidewire server`.

use std::time::Duration;

use insta::assert_snapshot;
use tidewire::Connect;
use tidewire_server::{Binary, Installer, Server};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    letters::connected,
    run::{command, ended},
    services::connect,
};

const BOUND: Duration = Duration::from_secs(60);

/// On a machine that has nothing, and no way to get it.
fn on_an_empty_machine(args: &[&str], folder: &std::path::Path) -> Command {
    let mut command = command(args);
    command
        .env_remove("TIDEWIRE_NATS_SERVER")
        .env("PATH", folder)
        .env("TIDEWIRE_CACHE", folder.join("cache"))
        .env("TIDEWIRE_NATS_SERVER_MIRROR", "http://127.0.0.1:1/releases");
    command
}

#[tokio::test]
async fn it_is_found_or_its_absence_is_a_fault() {
    let found = Binary::find_or_install().unwrap();
    let ran = ended(command(&["server", "path"])).await;
    assert_eq!(
        (ran.code, ran.stdout.trim_end()),
        (Some(0), &*found.path().display().to_string())
    );
    let json = ended(command(&["server", "path", "--json"])).await.json();
    assert_eq!(json["version"], found.version());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    for verb in ["path", "install"] {
        let ran = ended(on_an_empty_machine(&["server", verb], folder.path())).await;
        let archive = ran
            .stderr
            .split("nats-server-v")
            .nth(1)
            .and_then(|text| text.split(".tar.gz").next());
        let archive = archive.unwrap_or("no archive").to_owned();
        assert_snapshot!(
            format!("server_{verb}_nowhere"),
            ran.shown(&[(&path, "FOLDER"), (&archive, "PLATFORM")])
        );
    }
}

#[tokio::test]
async fn it_is_installed_once() {
    let installed = Installer::from_env().install().unwrap();
    let ran = ended(command(&["server", "install"])).await;
    assert_eq!(
        (ran.code, ran.stdout.trim_end()),
        (Some(0), &*installed.path().display().to_string())
    );
}

#[tokio::test]
async fn it_runs_until_it_is_told_to_end_and_keeps_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().display().to_string();
    let run = [
        "server",
        "run",
        "--port",
        "0",
        "--store-dir",
        &store,
        "--sync-always",
    ];
    let mut child = command(&run).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = async || timeout(BOUND, lines.next_line()).await.unwrap().unwrap().unwrap();
    let first = line().await;
    let url = first.rsplit(' ').next().unwrap().to_owned();
    assert!(first.starts_with("nats-server 2."), "{first}");
    assert!(line().await.contains(&store));
    assert_eq!(line().await, "Ctrl-C ends it");

    let nats = connected(Connect::to(&url)).await;
    let bucket = tidewire::async_nats::jetstream::kv::Config {
        bucket: "kept".into(),
        ..Default::default()
    };
    nats.jetstream().create_key_value(bucket).await.unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(line().await, "ended");
    let status = timeout(BOUND, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));

    let again = Server::builder().store_dir(&store).start().unwrap();
    let nats = connect(&again).await;
    nats.jetstream().get_key_value("kept").await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let server = Server::start().unwrap();
    let port = server.port().to_string();
    let ran = ended(command(&["server", "run", "--port", &port])).await;
    assert_snapshot!("server_run_port_taken", ran.shown(&[(&port, "PORT")]));
}
