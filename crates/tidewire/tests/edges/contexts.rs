//! Contexts and variables of the NATS tools.

use std::{env, fs, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tidewire_server::Server;

use crate::support::{Certificates, Operator, role};

/// Connects in a process of its own, with these variables and no others of NATS, and gives what it says.
pub(crate) fn what_it_says(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(role());
    command.arg("connect");
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("NATS_")) {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("secret"), "no secret is shown: {text}");
    text
}

fn write_context(config: &Path, name: &str, context: &Value) -> String {
    let folder = config.join("nats/context");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.json"));
    fs::write(&file, context.to_string()).unwrap();
    file.display().to_string()
}

/// The same as this context says, which may name other variables.
pub(crate) fn what_a_context_says(context: &Value, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_context(folder.path(), "system", context);
    let own = [
        ("XDG_CONFIG_HOME", folder.path().to_str().unwrap()),
        ("TIDEWIRE_TEST_CONTEXT", "system"),
    ];
    what_it_says(&[&own[..], variables].concat())
}

#[test]
fn a_context_by_name_by_path_and_the_selected_one() {
    let server = Server::builder()
        .config("authorization { timeout: 30, user: ann, password: secret }")
        .start()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().to_str().unwrap();
    let ann =
        json!({ "url": server.url(), "user": "ann", "password": "secret", "inbox_prefix": "_INBOX_ann" });
    let file = write_context(folder.path(), "ann", &ann);
    for (name, value) in [
        ("TIDEWIRE_TEST_CONTEXT", "ann"),
        ("TIDEWIRE_TEST_CONTEXT", &*file),
        ("NATS_CONTEXT", "ann"),
    ] {
        let said = what_it_says(&[("XDG_CONFIG_HOME", config), (name, value)]);
        assert!(said.contains("works with _INBOX_ann."), "{name}={value}: {said}");
    }
    fs::write(folder.path().join("nats/context.txt"), "ann\n").unwrap();
    let said = what_it_says(&[("XDG_CONFIG_HOME", config)]);
    assert!(
        said.contains("works with _INBOX_ann."),
        "the selected one: {said}"
    );
    // An address alone is another system's.
    let said = what_it_says(&[("XDG_CONFIG_HOME", config), ("NATS_URL", &server.url())]);
    assert!(said.contains("refused the credentials (none)"), "{said}");
    let said = what_it_says(&[("XDG_CONFIG_HOME", config), ("TIDEWIRE_TEST_CONTEXT", "bob")]);
    assert!(said.contains("bob.json cannot be read"), "{said}");
    fs::write(&file, "{ \"user\": secret }").unwrap();
    let said = what_it_says(&[("XDG_CONFIG_HOME", config), ("TIDEWIRE_TEST_CONTEXT", "ann")]);
    assert!(
        said.contains("ann.json is not understood") && said.contains("line 1"),
        "{said}"
    );
}

#[test]
fn secrets_of_a_context_that_stand_elsewhere() {
    let operator = Operator::new();
    let (server, user) = (
        Server::builder().config(operator.config(&[])).start().unwrap(),
        operator.user(),
    );
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().to_str().unwrap();
    let creds = folder.path().join("user.creds");
    fs::write(&creds, user.file()).unwrap();
    let path = creds.display();
    let data = format!("data:;base64,{}", STANDARD.encode(user.file()));
    let (plain, jwt, seed) = (
        path.to_string(),
        format!("data:,{}", user.jwt),
        "env://SEED".to_owned(),
    );
    let contexts = [
        json!({ "creds": plain }),
        json!({ "creds": format!("file://{path}") }),
        json!({ "creds": "env://CREDS" }),
        json!({ "creds": data }),
        json!({ "user_jwt": jwt, "user_seed": seed }),
    ];
    for mut context in contexts {
        context["url"] = json!(server.url());
        write_context(folder.path(), "user", &context);
        let variables = [
            ("CREDS", &*user.file()),
            ("SEED", &user.seed),
            ("TIDEWIRE_TEST_CONTEXT", "user"),
        ];
        let said = what_it_says(&[&variables[..], &[("XDG_CONFIG_HOME", config)]].concat());
        assert!(said.contains("works with"), "{context}: {said}");
    }
    write_context(folder.path(), "user", &json!({ "creds": "env://NOT_THERE" }));
    let said = what_it_says(&[("XDG_CONFIG_HOME", config), ("TIDEWIRE_TEST_CONTEXT", "user")]);
    assert!(
        said.contains("`creds`") && said.contains("NOT_THERE is not set"),
        "{said}"
    );
    // Tilde, and the home of the configuration where nothing else is set.
    let home = folder.path().join("home");
    write_context(
        &home.join(".config"),
        "user",
        &json!({ "url": server.url(), "creds": "~/../user.creds" }),
    );
    let said = what_it_says(&[
        ("XDG_CONFIG_HOME", ""),
        ("HOME", home.to_str().unwrap()),
        ("TIDEWIRE_TEST_CONTEXT", "user"),
    ]);
    assert!(said.contains("works with"), "{said}");
}

#[test]
fn a_context_with_a_token() {
    let server = Server::builder()
        .config("authorization { timeout: 30, token: secret }")
        .start()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "secret").unwrap();
    let elsewhere = format!("file://{}", file.display());
    for token in ["secret", "env://TOKEN", "data:,secret", &elsewhere] {
        let context = json!({ "url": server.url(), "token": token });
        let said = what_a_context_says(&context, &[("TOKEN", "secret")]);
        assert!(said.contains("works with"), "{context}: {said}");
    }
    // The tools take a user without a password for a token.
    let said = what_a_context_says(&json!({ "url": server.url(), "user": "secret" }), &[]);
    assert!(said.contains("works with"), "{said}");
    let said = what_a_context_says(&json!({ "url": server.url(), "token": "CANARY" }), &[]);
    assert!(
        said.contains("refused the credentials (a token)") && !said.contains("CANARY"),
        "{said}"
    );
}

#[test]
fn a_context_with_an_nkey() {
    let key = nkeys::KeyPair::new_user();
    let users = format!(
        "authorization {{ timeout: 30, users: [{{ nkey: {} }}] }}",
        key.public_key()
    );
    let server = Server::builder().config(users).start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, seed) = (folder.path().join("user.nk"), key.seed().unwrap());
    fs::write(&file, format!("# whose it is\n{seed}\n")).unwrap();
    let path = file.display();
    let places = [
        path.to_string(),
        format!("file://{path}"),
        "env://SEED".to_owned(),
        format!("data:;base64,{}", STANDARD.encode(&seed)),
    ];
    for nkey in places {
        let context = json!({ "url": server.url(), "nkey": nkey });
        let said = what_a_context_says(&context, &[("SEED", &seed)]);
        assert!(said.contains("works with"), "{context}: {said}");
    }
    let other = nkeys::KeyPair::new_user().seed().unwrap();
    let context = json!({ "url": server.url(), "nkey": "env://SEED" });
    let said = what_a_context_says(&context, &[("SEED", &other)]);
    assert!(
        said.contains("refused the credentials (an nkey)") && !said.contains(&other),
        "{said}"
    );
}

#[test]
fn a_context_with_certificates() {
    let certificates = Certificates::new();
    let mutual = Server::builder()
        .config(certificates.config(true))
        .start()
        .unwrap();
    let file = |name: &str| certificates.file(name).display().to_string();
    let context = json!({
        "url": mutual.url(),
        "ca": file("authority.pem"),
        "cert": file("client.pem"),
        "key": file("client.key"),
    });
    let said = what_a_context_says(&context, &[]);
    assert!(said.contains("works with"), "{said}");
    // Each of them is needed.
    for (field, why) in [
        ("ca", "do not agree on TLS"),
        ("cert", "`client_certificate`"),
        ("key", "`client_certificate`"),
    ] {
        let mut context = context.clone();
        context[field] = json!("");
        let said = what_a_context_says(&context, &[]);
        assert!(
            said.starts_with("fails: ") && said.contains(why),
            "{field}: {said}"
        );
    }
    let mut context = context;
    context["key"] = json!(file("none.key"));
    let said = what_a_context_says(&context, &[]);
    assert!(said.contains("none.key cannot be read"), "{said}");
}

#[test]
fn the_variables_of_the_tools() {
    let operator = Operator::new();
    let (server, user) = (
        Server::builder().config(operator.config(&[])).start().unwrap(),
        operator.user(),
    );
    let folder = tempfile::tempdir().unwrap();
    let empty = ("XDG_CONFIG_HOME", folder.path().to_str().unwrap());
    let creds = folder.path().join("user.creds");
    fs::write(&creds, user.file()).unwrap();
    let said = what_it_says(&[
        empty,
        ("NATS_URL", &server.url()),
        ("NATS_CREDS", creds.to_str().unwrap()),
        ("NATS_INBOX_PREFIX", "_INBOX_env"),
    ]);
    assert!(said.contains("works with _INBOX_env."), "{said}");

    let server = |config: &str| Server::builder().config(config).start().unwrap();
    let named = server("authorization { timeout: 30, user: ann, password: secret }");
    let said = what_it_says(&[
        empty,
        ("NATS_URL", &named.url()),
        ("NATS_USER", "ann"),
        ("NATS_PASSWORD", "secret"),
    ]);
    assert!(said.contains("works with"), "{said}");
    let address = format!("nats://ann:secret@127.0.0.1:{}", named.port());
    let said = what_it_says(&[empty, ("NATS_URL", &address)]);
    assert!(said.contains("works with"), "{said}");

    let tokens = server("authorization { timeout: 30, token: secret }");
    for name in ["NATS_TOKEN", "NATS_USER"] {
        let said = what_it_says(&[empty, ("NATS_URL", &tokens.url()), (name, "secret")]);
        assert!(said.contains("works with"), "{name}: {said}");
    }

    let key = nkeys::KeyPair::new_user();
    let keyed = server(&format!(
        "authorization {{ timeout: 30, users: [{{ nkey: {} }}] }}",
        key.public_key()
    ));
    let file = folder.path().join("user.nk");
    fs::write(&file, format!("# whose it is\n{}\n", key.seed().unwrap())).unwrap();
    let said = what_it_says(&[
        empty,
        ("NATS_URL", &keyed.url()),
        ("NATS_NKEY", file.to_str().unwrap()),
    ]);
    assert!(said.contains("works with"), "{said}");

    let certificates = Certificates::new();
    let mutual = server(&certificates.config(true));
    let path = |name: &str| certificates.file(name).display().to_string();
    let said = what_it_says(&[
        empty,
        ("NATS_URL", &mutual.url()),
        ("NATS_CA", &path("authority.pem")),
        ("NATS_CERT", &path("client.pem")),
        ("NATS_KEY", &path("client.key")),
    ]);
    assert!(said.contains("works with"), "{said}");

    let domain = server("");
    let said = what_it_says(&[empty, ("NATS_URL", &domain.url()), ("NATS_JS_DOMAIN", "none")]);
    assert!(said.contains("nobody answers `$JS.none.API"), "{said}");
}

/// Connects as the variables say, with `NATS_CONTEXT` naming a context that says this.
fn beside_a_context(context: &Value, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = write_context(folder.path(), "beside", context);
    let own = [
        ("XDG_CONFIG_HOME", folder.path().to_str().unwrap()),
        ("NATS_CONTEXT", &*file),
    ];
    what_it_says(&[&own[..], variables].concat())
}

/// What a variable says is meant, whatever the context says: the right one mends a wrong context, and a wrong one spoils a
/// right context.
#[test]
fn each_variable_goes_before_the_context() {
    let server = |config: &str| Server::builder().config(config).start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (operator, stranger) = (Operator::new(), Operator::new().user());
    let (key, other) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let named = server("authorization { timeout: 30, user: ann, password: secret }");
    let tokens = server("authorization { timeout: 30, token: secret }");
    let trusting = server(&operator.config(&[]));
    let keyed = server(&format!(
        "authorization {{ timeout: 30, users: [{{ nkey: {} }}] }}",
        key.public_key()
    ));
    let creds = [
        file("user.creds", &operator.user().file()),
        file("other.creds", &stranger.file()),
    ];
    let seeds = [
        file("user.nk", &key.seed().unwrap()),
        file("other.nk", &other.seed().unwrap()),
    ];
    // The server, the field and the variable, and what stands there when it is right and when it is wrong.
    for (server, field, variable, [right, wrong]) in [
        (&named, "password", "NATS_PASSWORD", ["secret", "other"]),
        (&tokens, "token", "NATS_TOKEN", ["secret", "other"]),
        (
            &trusting,
            "creds",
            "NATS_CREDS",
            creds.each_ref().map(|file| &**file),
        ),
        (&keyed, "nkey", "NATS_NKEY", seeds.each_ref().map(|file| &**file)),
    ] {
        let context = |value: &str| {
            let mut context = json!({ "url": server.url(), field: value });
            if field == "password" {
                context["user"] = json!("ann");
            }
            context
        };
        // A password is of the user beside it.
        let user = (variable == "NATS_PASSWORD").then_some(("NATS_USER", "ann"));
        let variables = |value| user.into_iter().chain([(variable, value)]).collect::<Vec<_>>();
        let said = beside_a_context(&context(wrong), &[]);
        assert!(said.contains("refused the credentials"), "{field}: {said}");
        let said = beside_a_context(&context(wrong), &variables(right));
        assert!(said.contains("works with"), "{variable}: {said}");
        let said = beside_a_context(&context(right), &variables(wrong));
        assert!(said.contains("refused the credentials"), "{variable}: {said}");
        // It takes the place of another kind too.
        let said = beside_a_context(
            &json!({ "url": server.url(), "token": "another-kind" }),
            &variables(right),
        );
        assert!(said.contains("works with"), "{variable}: {said}");
    }
    let ann = |url: &str| json!({ "url": url, "user": "ann", "password": "secret" });
    let said = beside_a_context(&ann("nats://127.0.0.1:1"), &[("NATS_URL", &named.url())]);
    assert!(said.contains("works with"), "{said}");
    let said = beside_a_context(&ann(&named.url()), &[("NATS_URL", "nats://127.0.0.1:1")]);
    assert!(said.contains("cannot connect to nats://127.0.0.1:1"), "{said}");
    // Who stands in the address goes before everybody else.
    let address = |password: &str| format!("nats://ann:{password}@127.0.0.1:{}", named.port());
    let bob = [("NATS_USER", "bob"), ("NATS_PASSWORD", "other")];
    let with_address = |address: &str| {
        let variables = [&[("NATS_URL", address)], &bob[..]].concat();
        beside_a_context(&ann(&named.url()), &variables)
    };
    assert!(with_address(&address("secret")).contains("works with"));
    let said = with_address(&address("other"));
    assert!(said.contains("refused the credentials"), "{said}");
    let mut context = ann(&named.url());
    context["inbox_prefix"] = json!("_INBOX_context");
    context["jetstream_domain"] = json!("of-the-context");
    let said = beside_a_context(&context, &[("NATS_JS_DOMAIN", "of-the-variable")]);
    assert!(said.contains("nobody answers `$JS.of-the-variable.API"), "{said}");
    context["jetstream_domain"] = json!("");
    let said = beside_a_context(&context, &[("NATS_INBOX_PREFIX", "_INBOX_variable")]);
    assert!(said.contains("works with _INBOX_variable."), "{said}");
}

#[test]
fn the_certificates_of_variables_go_before_those_of_the_context() {
    let (right, wrong) = (Certificates::new(), Certificates::new());
    let server = Server::builder().config(right.config(true)).start().unwrap();
    let file = |of: &Certificates, name: &str| of.file(name).display().to_string();
    let context = |of: &Certificates| {
        json!({ "url": server.url(), "ca": file(of, "authority.pem"), "cert": file(of, "client.pem"),
            "key": file(of, "client.key") })
    };
    let with = |context: &Value, of: &Certificates, names: &[(&str, &str)]| {
        let files: Vec<_> = names
            .iter()
            .map(|(variable, name)| (*variable, file(of, name)))
            .collect();
        let variables: Vec<_> = files.iter().map(|(name, file)| (*name, &**file)).collect();
        beside_a_context(context, &variables)
    };
    let authority = [("NATS_CA", "authority.pem")];
    let client = [("NATS_CERT", "client.pem"), ("NATS_KEY", "client.key")];
    let all = [&authority[..], &client].concat();
    let said = with(&context(&wrong), &right, &all);
    assert!(said.contains("works with"), "{said}");
    for names in [&authority[..], &client] {
        let said = with(&context(&right), &right, names);
        assert!(said.contains("works with"), "{names:?}: {said}");
        let said = with(&context(&right), &wrong, names);
        assert!(said.starts_with("fails: "), "{names:?}: {said}");
        // One of them does not mend all.
        let said = with(&context(&wrong), &right, names);
        assert!(said.starts_with("fails: "), "{names:?}: {said}");
    }
}
