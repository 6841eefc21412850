//! The variables of the NATS tools, as every verb reads them: before what a context says, and after what a flag says.

use std::{fs, path::Path};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tidewire_server::Server;

use crate::run::{Ran, command, ended};

const NOBODY: &str = "nats://127.0.0.1:1";
/// A key pair of nobody.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

fn server(config: &str) -> Server {
    Server::builder().config(config).start().unwrap()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A verb that asks the server, with these flags and variables, where no context is selected but in `config`.
async fn with(config: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Ran {
    let args: Vec<_> = ["manifest", "show", "--json"].iter().chain(flags).collect();
    let mut command = command(&args.into_iter().copied().collect::<Vec<_>>());
    command
        .env("XDG_CONFIG_HOME", config)
        .envs(variables.iter().copied());
    ended(command).await
}

#[tokio::test]
async fn a_flag_goes_before_a_variable_and_a_variable_before_a_context() {
    let named = server("authorization { timeout: 30, user: ann, password: right }");
    let url = named.url();
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let context = |url: &str, password: &str| json!({ "url": url, "user": "ann", "password": password });
    let file = |name: &str, context: &Value| write(folder.path(), name, &context.to_string());
    let good = file("good.json", &context(&url, "right"));
    let bad = file("bad.json", &context(NOBODY, "wrong"));
    let elsewhere = file("elsewhere.json", &context(NOBODY, "right"));
    let address = |password: &str| url.replace("nats://", &format!("nats://ann:{password}@"));
    let (mine, others) = (address("right"), address("wrong"));

    let right = [("NATS_USER", "ann"), ("NATS_PASSWORD", "right")];
    let wrong = [("NATS_USER", "ann"), ("NATS_PASSWORD", "wrong")];
    let here = [("NATS_URL", &*url)];
    let nowhere = [("NATS_URL", NOBODY)];
    let in_good = [("NATS_CONTEXT", &*good)];
    let in_bad = [("NATS_CONTEXT", &*bad)];
    let unreachable = "cannot connect to nats://127.0.0.1:1";
    let refused = "refused the credentials (a user and password)";
    // What each says; nothing where all is well.
    for (flags, variables, said) in [
        (&[][..], [&in_good[..], &[], &[]], ""),
        (&[], [&in_bad, &[], &[]], unreachable),
        (&[], [&in_bad, &here, &right], ""),
        (&[], [&in_bad, &here, &[]], refused),
        (&[], [&in_good, &nowhere, &[]], unreachable),
        (&[], [&in_good, &wrong, &[]], refused),
        (&[], [&here, &right, &[]], ""),
        (&["--server", &url], [&nowhere, &right, &[]], ""),
        (&["--server", NOBODY], [&here, &right, &[]], unreachable),
        (
            &["--server", &url],
            [&[("NATS_CONTEXT", &*elsewhere)], &[], &[]],
            "",
        ),
        (&["--server", &mine], [&wrong, &[], &[]], ""),
        (&["--server", &mine], [&[("NATS_TOKEN", "wrong")], &[], &[]], ""),
        (&["--server", &others], [&right, &[], &[]], refused),
        (&["--context", &good], [&in_bad, &nowhere, &wrong], ""),
        (&["--context", &bad], [&in_good, &here, &right], unreachable),
    ] {
        let variables = variables.concat();
        let ran = with(&none, flags, &variables).await;
        let code = if said.is_empty() { 0 } else { 2 };
        assert_eq!(ran.code, Some(code), "{flags:?} {variables:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{flags:?} {variables:?}: {ran:?}");
    }

    // The selected context comes last of all, and an address alone is another system's.
    let selected = folder.path().join("selected");
    write(&selected, "nats/context.txt", "ours");
    let ours = context(&url, "right").to_string();
    write(&selected, "nats/context/ours.json", &ours);
    for (flags, variables, said) in [
        (&[][..], &[][..], ""),
        (&[], &wrong, refused),
        (&[], &here, "refused the credentials (none)"),
        (&["--server", &url], &[], "refused the credentials (none)"),
        (&[], &in_bad, unreachable),
        (&["--context", "ours"], &in_bad, ""),
    ] {
        let ran = with(&selected, flags, variables).await;
        assert_eq!(ran.code, Some(if said.is_empty() { 0 } else { 2 }), "{ran:?}");
        assert!(ran.stderr.contains(said), "{flags:?} {variables:?}: {ran:?}");
    }
}

#[tokio::test]
async fn each_kind_of_credentials_is_read_from_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let seed = write(folder.path(), "user.nk", SEED);
    let tokens = server("authorization { timeout: 30, token: right }");
    let keyed = server(&format!(
        "authorization {{ timeout: 30, users: [{{ nkey: {PUBLIC} }}] }}"
    ));
    for (server, variable, value) in [
        (&tokens, "NATS_TOKEN", "right"),
        // The tools take a user without a password for a token.
        (&tokens, "NATS_USER", "right"),
        (&keyed, "NATS_NKEY", &seed),
    ] {
        let url = server.url();
        let ran = with(folder.path(), &[], &[("NATS_URL", &url), (variable, value)]).await;
        assert_eq!(ran.code, Some(0), "{variable}: {ran:?}");
        // An empty one says nothing.
        let ran = with(folder.path(), &[], &[("NATS_URL", &url), (variable, "")]).await;
        assert!(ran.stderr.contains("(none)"), "{variable}: {ran:?}");
    }
}

/// Each names the variable's file or kind, and shows no secret.
#[tokio::test]
async fn a_variable_that_leads_nowhere_is_said() {
    let plain = server("authorization { timeout: 30, token: right }");
    let url = plain.url();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let junk = write(folder.path(), "junk", "CANARY");
    let of_junk = write(folder.path(), "context.json", r#"{ "token": CANARY }"#);
    let gone = folder.path().join("gone").display().to_string();
    for (what, variables) in [
        ("no_creds", &[("NATS_CREDS", &*gone)][..]),
        ("junk_creds", &[("NATS_CREDS", &junk)]),
        ("no_nkey", &[("NATS_NKEY", &gone)]),
        ("junk_nkey", &[("NATS_NKEY", &junk)]),
        ("no_ca", &[("NATS_CA", &gone)]),
        ("no_cert", &[("NATS_CERT", &gone), ("NATS_KEY", &junk)]),
        ("no_key", &[("NATS_CERT", &junk), ("NATS_KEY", &gone)]),
        ("no_context", &[("NATS_CONTEXT", &gone)]),
        ("junk_context", &[("NATS_CONTEXT", &of_junk)]),
        ("wrong_token", &[("NATS_TOKEN", "CANARY")]),
        ("two", &[("NATS_TOKEN", "CANARY"), ("NATS_CREDS", &junk)]),
        ("no_url", &[("NATS_URL", "http://ann:CANARY@:x")]),
    ] {
        let variables = [&[("NATS_URL", &*url)], variables].concat();
        let ran = with(folder.path(), &[], &variables).await;
        assert!(!format!("{ran:?}").contains("CANARY"), "{ran:?}");
        assert_snapshot!(
            format!("variables_{what}"),
            ran.shown(&[(&path, "FOLDER"), (&url[7..], "GUARDED")])
        );
    }
}
