//! `tidewire manifest show` and `diff`.

use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tidewire::Connect;
use tidewire_server::Server;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{
    letters::connected,
    run::{Ran, run},
    services::{connect, payments, world},
};

#[tokio::test]
async fn what_a_service_declares_is_in_the_bucket_once_it_has_started() {
    let (server, _running) = world().await;
    assert_snapshot!(
        "manifest_show",
        run(&server, &["manifest", "show"]).await.shown(&[])
    );
    assert_snapshot!(
        "manifest_show_payments",
        run(&server, &["manifest", "show", "payments"]).await.shown(&[])
    );
    assert_snapshot!(
        "manifest_show_shipping",
        run(&server, &["manifest", "show", "shipping"]).await.shown(&[])
    );
    assert_snapshot!(
        "manifest_show_unknown",
        run(&server, &["manifest", "show", "till"]).await.shown(&[])
    );
    let all = run(&server, &["manifest", "show", "--json"]).await.json();
    let one = run(&server, &["manifest", "show", "payments", "--json"])
        .await
        .json();
    assert_eq!(all["payments"], one);
    assert_eq!(one, serde_json::to_value(payments().manifest().unwrap()).unwrap());
}

#[tokio::test]
async fn a_manifest_of_a_newer_tidewire_is_shown_as_far_as_it_goes() {
    let (server, _running) = world().await;
    let bucket = connect(&server).await.jetstream();
    let bucket = bucket.get_key_value("TIDEWIRE_MANIFESTS").await.unwrap();
    bucket.put("later", r#"{"of":"tomorrow"}"#.into()).await.unwrap();
    assert_snapshot!(
        "manifest_show_with_a_newer_one",
        run(&server, &["manifest", "show"]).await.shown(&[])
    );
    assert_snapshot!(
        "manifest_show_newer",
        run(&server, &["manifest", "show", "later"]).await.shown(&[])
    );
    let json = run(&server, &["manifest", "show", "later", "--json"])
        .await
        .json();
    assert_eq!(json, json!({"of": "tomorrow"}));
}

#[tokio::test]
async fn a_server_without_services_is_no_fault() {
    let server = Server::start().unwrap();
    assert_snapshot!(
        "manifest_show_nothing",
        run(&server, &["manifest", "show"]).await.shown(&[])
    );
}

async fn compared(server: &Server, folder: &Path, sides: &[&str]) -> Ran {
    let paths: Vec<_> = sides
        .iter()
        .map(|side| folder.join(side).display().to_string())
        .collect();
    let sides = sides.iter().zip(&paths).map(
        |(side, path)| {
            if side.contains('.') { path.as_str() } else { side }
        },
    );
    let args: Vec<_> = ["manifest", "diff"].into_iter().chain(sides).collect();
    run(server, &args).await
}

#[tokio::test]
async fn a_reviewed_file_is_compared_with_what_runs() {
    let (server, _running) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string() + "/";
    let mut manifest = serde_json::to_value(payments().manifest().unwrap()).unwrap();
    fs::write(folder.path().join("same.json"), manifest.to_string()).unwrap();
    let shown = |ran: Ran| ran.shown(&[(&path, "")]);
    assert_snapshot!(
        "manifest_diff_same",
        shown(compared(&server, folder.path(), &["same.json"]).await)
    );

    manifest["version"] = json!("1.0.0");
    manifest["messages"]["orders.payments.payment.processed"]["schema"]["required"] = json!(["payment_id"]);
    manifest["messages"]["orders.payments.closed"] = Value::Null;
    manifest["messages"]
        .as_object_mut()
        .unwrap()
        .remove("orders.payments.closed");
    manifest["handlers"][0]["emits"] = json!([]);
    manifest["handlers"].as_array_mut().unwrap().pop();
    fs::write(folder.path().join("old.json"), manifest.to_string()).unwrap();
    assert_snapshot!(
        "manifest_diff",
        shown(compared(&server, folder.path(), &["old.json"]).await)
    );
    let files = compared(&server, folder.path(), &["same.json", "old.json"]).await;
    assert_eq!(files.code, Some(1), "{files:?}");
    let json = compared(&server, folder.path(), &["old.json", "payments", "--json"])
        .await
        .json();
    assert_eq!(json["differences"].as_array().unwrap().len(), 5, "{json:#}");

    fs::write(folder.path().join("none.json"), r#"{"service": "payments"}"#).unwrap();
    assert_snapshot!(
        "manifest_diff_no_manifest",
        shown(compared(&server, folder.path(), &["none.json"]).await)
    );
    assert_snapshot!(
        "manifest_diff_no_file",
        shown(compared(&server, folder.path(), &["gone.json"]).await)
    );
    assert_snapshot!(
        "manifest_diff_service_alone",
        shown(compared(&server, folder.path(), &["payments"]).await)
    );
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_service_without_the_permission_starts_and_warns() {
    let users = r#"authorization { timeout: 30, users: [
        { user: all, password: x }
        { user: few, password: x, permissions: { publish: { deny: ["$KV.TIDEWIRE_MANIFESTS.>"] } } }
        { user: fewer, password: x, permissions: { publish: { deny: ["$JS.API.STREAM.*.KV_TIDEWIRE_MANIFESTS"] } } }
    ] }"#;
    let server = Server::builder().config(users).start().unwrap();
    for (user, needed) in [
        ("fewer", "$JS.API.STREAM.INFO.KV_TIDEWIRE_MANIFESTS"),
        ("few", "$KV.TIDEWIRE_MANIFESTS.payments"),
    ] {
        let log = Log::default();
        let writer = log.clone();
        let logging = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .set_default();
        let nats = connected(Connect::to(server.url()).user(user, "x")).await;
        let running = payments().start(nats).await.unwrap();
        drop(logging);
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let warning = log
            .lines()
            .find(|line| line.contains("the manifest of `payments` is not in"));
        let warning = warning.unwrap_or_else(|| panic!("no warning in {log}"));
        let wanted = format!("this user may not publish to `{needed}`");
        assert!(warning.contains(" WARN ") && warning.contains(&wanted), "{log}");
        running.stop().await.unwrap();
    }
}
