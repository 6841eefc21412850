//! Where a verb connects to, and what it says where it cannot.

use insta::assert_snapshot;
use tidewire_server::Server;

use crate::run::{command, ended};

#[tokio::test]
async fn flags_win_over_variables_and_contexts_are_read() {
    let server = Server::start().unwrap();
    let nobody = "nats://127.0.0.1:1";
    let mut by_variable = command(&["manifest", "show"]);
    by_variable.env("NATS_URL", server.url());
    let url = server.url();
    let mut by_flag = command(&["manifest", "show", "--server", &url]);
    by_flag.env("NATS_URL", nobody);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("here.json");
    std::fs::write(&file, format!(r#"{{"url": "{url}"}}"#)).unwrap();
    let file = file.display().to_string();
    let mut by_context = command(&["manifest", "show", "--context", &file]);
    by_context.env("NATS_URL", nobody);
    for command in [by_variable, by_flag, by_context] {
        let ran = ended(command).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_connection_is_said_and_is_two() {
    let guarded = Server::builder()
        .config("authorization { timeout: 30, user: ann, password: s3cret }")
        .start()
        .unwrap();
    let url = guarded.url();
    let wrong = url.replace("nats://", "nats://ann:CANARY@");
    for (what, args) in [
        ("no_server", &["--server", "nats://127.0.0.1:1"][..]),
        ("no_address", &["--server", "nats://:x"]),
        ("no_context", &["--context", "nowhere"]),
        ("both", &["--server", "localhost", "--context", "here"]),
        ("password", &["--server", &wrong]),
    ] {
        let args: Vec<_> = ["manifest", "show"].iter().chain(args).copied().collect();
        let ran = ended(command(&args)).await;
        let folder = env!("CARGO_TARGET_TMPDIR");
        let shown = ran.shown(&[
            (&wrong, "nats://ann:…@GUARDED"),
            (&url[7..], "GUARDED"),
            (folder, "CONFIG"),
        ]);
        assert!(!ran.stderr.contains("CANARY"), "{ran:?}");
        assert_snapshot!(format!("connection_{what}"), shown);
    }
}
