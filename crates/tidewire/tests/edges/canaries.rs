//! A canary in each kind of credentials, on a connection that is lost, refused, and comes back: none of them sings, be it
//! in the log, in a span, in `Debug` or in an error.

use std::{
    error::Error,
    fmt::Debug,
    fs,
    time::{Duration, Instant},
};

use nkeys::KeyPair;
use serde_json::json;
use tidewire::Connect;
use tidewire_server::Server;

use crate::support::{Log, Operator, Reloadable, connected, payments, processed};

/// How long each step may take; what is asked here is what is said, and not how soon.
const STEP: Duration = Duration::from_secs(30);

/// What has been said beside the log.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn debug(&mut self, what: &impl Debug) {
        self.0.extend([format!("{what:?}"), format!("{what:#?}")]);
    }

    fn error(&mut self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.debug(&error);
            self.0.push(error.to_string());
            next = error.source();
        }
    }
}

/// Connects, is refused where the server comes back with another configuration, and is let in again.
///
/// `meanwhile` is done while the server refuses.
async fn none_sings(
    [allowed, refused]: [&str; 2],
    canaries: &[&str],
    connect: impl Fn(&Server) -> Connect,
    meanwhile: impl AsyncFnOnce(&Log),
) {
    let (log, _guard) = Log::listen();
    let (mut nats, mut said) = (Reloadable::start(allowed), Said::default());
    let connect = connect(&nats.server);
    said.debug(&connect);
    let connection = connected(connect.clone()).await;
    let running = payments().start(connection.clone()).await.unwrap();
    let bus = running.bus();
    said.debug(&connection);
    said.debug(&connection.client());
    said.debug(&connection.jetstream());
    said.debug(&running);
    said.debug(&bus);

    nats.server.kill().unwrap();
    said.error(&bus.publish(&processed("nobody")).await.unwrap_err());
    said.error(&connect.clone().connect().await.unwrap_err());
    nats.rewrite(refused);
    nats.server.restart().unwrap();
    log.says(STEP, "the server refuses the credentials").await;
    said.error(&connect.clone().connect().await.unwrap_err());
    said.error(&bus.publish(&processed("refused")).await.unwrap_err());
    meanwhile(&log).await;
    said.debug(&connection);
    said.debug(&connection.client());

    nats.server.kill().unwrap();
    nats.rewrite(allowed);
    nats.server.restart().unwrap();
    let cured = Instant::now();
    while let Err(error) = bus.publish(&processed("again")).await {
        assert!(cured.elapsed() < STEP, "{error}");
        said.error(&error);
    }
    said.debug(&running);

    let lines = log.lines();
    for heard in ["async_nats", "tidewire", "span tidewire"] {
        assert!(lines.iter().any(|line| line.starts_with(heard)), "no {heard}");
    }
    assert!(!canaries.is_empty());
    for text in said.0.iter().chain(&lines) {
        for canary in canaries {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

async fn nothing(_: &Log) {}

fn authorization(text: &str) -> String {
    format!("authorization {{ timeout: 30, {text} }}")
}

const OTHERS: &str = "authorization { timeout: 30, user: bob, password: other }";
const PASSWORD: &str = "CANARY-p@ss";

fn password() -> String {
    authorization(&format!("user: ann, password: \"{PASSWORD}\""))
}

#[tokio::test]
async fn no_password_sings() {
    let connect = |server: &Server| Connect::to(server.url()).user("ann", PASSWORD);
    none_sings([&password(), OTHERS], &["CANARY"], connect, nothing).await;
}

#[tokio::test]
async fn no_password_in_an_address_sings() {
    let connect =
        |server: &Server| Connect::to(format!("nats://ann:CANARY-p%40ss@127.0.0.1:{}", server.port()));
    none_sings([&password(), OTHERS], &["CANARY"], connect, nothing).await;
}

#[tokio::test]
async fn no_token_sings() {
    let allowed = authorization("token: CANARY-token");
    let connect = |server: &Server| Connect::to(server.url()).token("CANARY-token");
    none_sings([&allowed, OTHERS], &["CANARY"], connect, nothing).await;
}

#[tokio::test]
async fn no_token_in_an_address_sings() {
    let allowed = authorization("token: CANARY-token");
    let connect = |server: &Server| Connect::to(format!("nats://CANARY-token@127.0.0.1:{}", server.port()));
    none_sings([&allowed, OTHERS], &["CANARY"], connect, nothing).await;
}

#[tokio::test]
async fn no_seed_sings() {
    let key = KeyPair::new_user();
    let (allowed, seed) = (
        authorization(&format!("users: [{{ nkey: {} }}]", key.public_key())),
        key.seed().unwrap(),
    );
    let connect = |server: &Server| Connect::to(server.url()).nkey(seed.clone());
    none_sings([&allowed, OTHERS], &[&seed], connect, nothing).await;
}

/// The file is read again at each try.
#[tokio::test]
async fn no_seed_in_a_file_sings() {
    let (key, folder) = (KeyPair::new_user(), tempfile::tempdir().unwrap());
    let (allowed, seed) = (
        authorization(&format!("users: [{{ nkey: {} }}]", key.public_key())),
        key.seed().unwrap(),
    );
    let (file, context) = (folder.path().join("user.nk"), folder.path().join("user.json"));
    fs::write(&file, &seed).unwrap();
    let connect = |server: &Server| {
        let text = json!({ "url": server.url(), "nkey": file }).to_string();
        fs::write(&context, text).unwrap();
        Connect::context(context.to_str().unwrap()).unwrap()
    };
    let replaced = async |log: &Log| {
        let broken = "SUCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCA";
        fs::write(&file, broken).unwrap();
        log.says(STEP, "the credentials cannot be used").await;
        fs::write(&file, &seed).unwrap();
    };
    none_sings([&allowed, OTHERS], &[&seed, "CANARY"], connect, replaced).await;
}

#[tokio::test]
async fn no_jwt_sings() {
    let operator = Operator::new();
    let user = operator.user();
    let configs = [&*operator.config(&[]), &*operator.config(&[&user])];
    let connect = |server: &Server| Connect::to(server.url()).jwt(user.jwt.clone(), user.seed.clone());
    none_sings(configs, &[&user.jwt, &user.seed], connect, nothing).await;
}

/// The file is read again at each try: while the server refuses what stood in it, it is broken in two ways, and then gone.
#[tokio::test]
async fn nothing_of_a_credentials_file_sings() {
    let (operator, folder) = (Operator::new(), tempfile::tempdir().unwrap());
    let user = operator.user();
    let file = folder.path().join("user.creds");
    fs::write(&file, user.file()).unwrap();
    let configs = [&*operator.config(&[]), &*operator.config(&[&user])];
    let connect = |server: &Server| Connect::to(server.url()).credentials_file(&file);
    let replaced = async |log: &Log| {
        for (broken, why) in [
            ("CANARY".to_owned(), "it has no JWT with a seed"),
            (user.file().replace(&user.seed, "SUCANARY"), "the nkey seed"),
        ] {
            fs::write(&file, broken).unwrap();
            log.says(STEP, why).await;
        }
        fs::remove_file(&file).unwrap();
        log.says(STEP, "user.creds cannot be read").await;
        fs::write(&file, user.file()).unwrap();
    };
    let canaries = [&*user.jwt, &user.seed, "CANARY"];
    none_sings(configs, &canaries, connect, replaced).await;
}
