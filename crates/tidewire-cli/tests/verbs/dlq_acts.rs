//! `tidewire dlq replay`, `edit`, `discard`, `export` and `import`.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
};

use insta::assert_snapshot;
use serde_json::json;
use tidewire::{
    dead_letter::{Act, LetterId},
    wire,
};

use crate::{
    letters::{Service, World, failed},
    run::{Ran, ended, on, run, run_with_input},
};

async fn world() -> (World, LetterId) {
    let world = World::start().await;
    let id = world
        .letter(&failed(1, "orders.payments.payment.processed.p-1"))
        .await;
    (world, id)
}

/// What was printed, without the name of this machine.
fn shown(ran: &Ran) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    ran.shown(&[(&host, "HOST")])
}

#[tokio::test]
async fn nothing_is_done_for_a_dry_run_or_without_a_yes() {
    let (world, id) = world().await;
    for (name, args) in [
        (
            "dlq_discard_dry_run",
            &["dlq", "discard", "--all", "--reason", "a test", "--dry-run"][..],
        ),
        (
            "dlq_discard_no_yes",
            &["dlq", "discard", "--all", "--reason", "a test"],
        ),
        ("dlq_discard_no_reason", &["dlq", "discard", id.as_str(), "--yes"]),
        (
            "dlq_discard_empty_reason",
            &["dlq", "discard", id.as_str(), "--reason", " ", "--yes"],
        ),
        (
            "dlq_discard_nothing_named",
            &["dlq", "discard", "--reason", "a test", "--yes"],
        ),
        ("dlq_replay_dry_run", &["dlq", "replay", id.as_str(), "--dry-run"]),
        ("dlq_replay_no_yes", &["dlq", "replay", id.as_str()]),
    ] {
        assert_snapshot!(name, run(&world.server, args).await.shown(&[]));
        assert_eq!(world.acts(&id).await, ["failed"], "{args:?}");
    }
    assert_eq!(world.stored("TW_PAYMENTS").await.len(), 0);
}

#[tokio::test]
async fn a_discard_says_who_and_why_and_twice_is_once() {
    let (world, id) = world().await;
    let args = [
        "dlq",
        "discard",
        id.as_str(),
        "--reason",
        "a test \u{1b}[31m",
        "--yes",
    ];
    for name in ["dlq_discard", "dlq_discard_again"] {
        let mut command = on(&world.server, &args[..5]);
        command.args(["--yes"]).env("USER", "ana");
        assert_snapshot!(name, ended(command).await.shown(&[("\u{1b}", "ESC")]));
    }
    assert_eq!(world.acts(&id).await, ["failed", "discarded"]);
    let record = world.stored(wire::DLQ_STREAM).await.pop().unwrap();
    let by = record.header(wire::TW_BY);
    assert!(
        by.starts_with("ana@") && by.ends_with(concat!("with tidewire ", env!("CARGO_PKG_VERSION"))),
        "{by}"
    );
    assert_snapshot!(
        "dlq_show_discarded",
        shown(&run(&world.server, &["dlq", "show", id.as_str()]).await)
    );
}

#[tokio::test]
async fn letters_are_given_back_and_what_came_of_it_is_told() {
    let (world, id) = world().await;
    let soon = [
        "dlq",
        "replay",
        "--durable",
        "ship",
        "--yes",
        "--timeout",
        "100ms",
    ];
    let ran = run(&world.server, &soon).await;
    assert_eq!(ran.code, Some(1));
    assert_snapshot!("dlq_replay_unanswered", ran.shown(&[]));
    Service::start(&world).await.always(Act::Failed);
    let ran = run(&world.server, &["dlq", "replay", id.as_str(), "--yes", "--json"]).await;
    assert_eq!(ran.json()["end"], "failed", "{ran:?}");

    let other = world.letter(&failed(2, "metrics.cpu")).await;
    assert_snapshot!(
        "dlq_replay_failed_again",
        run(&world.server, &["dlq", "replay", other.as_str(), "--yes"])
            .await
            .shown(&[])
    );
    assert_eq!(world.acts(&other).await, ["failed", "replayed", "failed"]);
}

#[tokio::test]
async fn a_payload_is_changed_by_a_patch_by_a_file_and_by_hand() {
    let (world, id) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let editor = |name: &str, script: &str| {
        let path = file(name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let payload = async || world.stored(wire::DLQ_STREAM).await.pop().unwrap().body;
    let patch = file("patch.json", r#"[{"op":"replace","path":"/number","value":2}]"#);
    let ran = run(&world.server, &["dlq", "edit", id.as_str(), "--patch", &patch]).await;
    assert_snapshot!("dlq_edit", ran.shown(&[(&patch, "PATCH")]));
    assert_eq!(payload().await, r#"{"number":2}"#);

    let set = file("set.json", "\u{0}any\n");
    let ran = run(
        &world.server,
        &["dlq", "edit", id.as_str(), "--set", &set, "--json"],
    )
    .await;
    assert_eq!(ran.json()["changed"], json!(true));
    assert_eq!(payload().await, "\u{0}any\n");
    run(&world.server, &["dlq", "edit", id.as_str(), "--set", &patch]).await;

    let by_hand = async |editor: &str| {
        let mut command = on(&world.server, &["dlq", "edit", id.as_str()]);
        command.env("VISUAL", editor).env("TMPDIR", folder.path());
        ended(command).await
    };
    let ran = by_hand("true").await;
    assert_snapshot!("dlq_edit_nothing", ran.shown(&[]));
    let broken = by_hand(&editor("break", "echo '{' > $1")).await;
    assert_eq!(broken.code, Some(2), "{broken:?}");
    assert!(
        broken.stderr.contains("nothing was changed, and it is kept in"),
        "{broken:?}"
    );
    assert_eq!(world.acts(&id).await, ["failed", "edited", "edited", "edited"]);
    let ran = by_hand(&editor("change", "sed -i s/replace/test/ $1")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        String::from_utf8(payload().await.to_vec())
            .unwrap()
            .contains(r#""op": "test""#)
    );
    // Who has no $VISUAL has an $EDITOR, which may have flags.
    let mut command = on(&world.server, &["dlq", "edit", id.as_str()]);
    let with_flags = format!(
        "{} --wait",
        editor("again", "test $1 = --wait && sed -i s/test/remove/ $2")
    );
    command.env_remove("VISUAL").env("EDITOR", with_flags);
    let ran = ended(command).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        String::from_utf8(payload().await.to_vec())
            .unwrap()
            .contains(r#""op": "remove""#)
    );
    assert_snapshot!("dlq_edit_failing_editor", by_hand("false").await.shown(&[]));
    let mut command = on(&world.server, &["dlq", "edit", id.as_str()]);
    command.env_remove("VISUAL").env_remove("EDITOR");
    assert_snapshot!("dlq_edit_no_editor", ended(command).await.shown(&[]));
}

#[tokio::test]
async fn what_is_exported_here_is_imported_there_once() {
    let (world, id) = world().await;
    let exported = run(&world.server, &["dlq", "export"]).await;
    assert_eq!(exported.json_lines()[0]["letter"], id.as_str());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters");
    let path = path.to_str().unwrap();
    run(&world.server, &["dlq", "export", "--to", path]).await;
    assert_eq!(fs::read_to_string(path).unwrap(), exported.stdout);

    let other = World::start().await;
    let mut import = on(&other.server, &["dlq", "import", "-"]);
    import.env("USER", "ana").stdin(File::open(path).unwrap());
    assert_snapshot!("dlq_import", ended(import).await.shown(&[]));
    let show = async || {
        let ran = run(&other.server, &["dlq", "show", id.as_str()]).await;
        shown(&ran)
    };
    let imported = show().await;
    assert_snapshot!("dlq_show_imported", imported);
    let mut import = on(&other.server, &["dlq", "import", path]);
    import.env("USER", "bob");
    assert_snapshot!("dlq_import_again", ended(import).await.shown(&[(path, "FILE")]));
    assert_eq!(
        show().await,
        imported,
        "who imports what is there has done nothing"
    );
    assert_eq!(other.acts(&id).await, ["failed"]);
    assert_eq!(
        run(&other.server, &["dlq", "export"]).await.stdout,
        exported.stdout
    );
    let ran = run_with_input(&other.server, &["dlq", "import", "-"], "junk \u{1b}[31m\n").await;
    assert_snapshot!("dlq_import_junk", ran.shown(&[]));
}
