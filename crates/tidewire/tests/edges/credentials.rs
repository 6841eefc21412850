//! Every kind of credentials connects, a wrong one is refused by its kind, and none is ever shown.

use std::fs;

use nkeys::KeyPair;
use tidewire::{Connect, ConnectError, Connection};
use tidewire_server::Server;

use crate::support::{Certificates, Log, Operator, answer_of, connected, payments, processed};

async fn works(connect: Connect) -> Connection {
    let nats = connected(connect).await;
    let service = payments().start(nats.clone()).await.unwrap();
    service.bus().publish(&processed("p")).await.unwrap();
    nats
}

/// The text of the refusal, which names the kind.
async fn refused(connect: Connect) -> String {
    match answer_of(connect).await {
        Err(error @ ConnectError::Refused { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn server(config: &str) -> Server {
    Server::builder().config(config).start().unwrap()
}

#[tokio::test]
async fn a_user_and_a_password() {
    let server = server("authorization { timeout: 30, user: ann, password: \"p@ss word\" }");
    works(Connect::to(server.url()).user("ann", "p@ss word")).await;
    let address = format!("nats://ann:p%40ss%20word@127.0.0.1:{}", server.port());
    works(Connect::to(&address)).await;
    let text = refused(Connect::to(server.url()).user("ann", "CANARY")).await;
    assert!(
        text.contains("a user and password") && !text.contains("CANARY"),
        "{text}"
    );
    refused(Connect::to(server.url())).await;
    let both = Connect::to(&address).token("CANARY").connect().await.unwrap_err();
    assert!(matches!(both, ConnectError::TwoCredentials { .. }), "{both}");
}

#[tokio::test]
async fn a_token() {
    let server = server("authorization { timeout: 30, token: t0ken }");
    works(Connect::to(server.url()).token("t0ken")).await;
    works(Connect::to(format!("nats://t0ken@127.0.0.1:{}", server.port()))).await;
    let text = refused(Connect::to(server.url()).token("CANARY")).await;
    assert!(text.contains("a token") && !text.contains("CANARY"), "{text}");
}

#[tokio::test]
async fn an_nkey() {
    let key = KeyPair::new_user();
    let server = server(&format!(
        "authorization {{ timeout: 30, users: [{{ nkey: {} }}] }}",
        key.public_key()
    ));
    works(Connect::to(server.url()).nkey(key.seed().unwrap())).await;
    let other = KeyPair::new_user().seed().unwrap();
    let text = refused(Connect::to(server.url()).nkey(other.clone())).await;
    assert!(text.contains("an nkey") && !text.contains(&other), "{text}");
}

#[tokio::test]
async fn a_jwt_and_a_credentials_file() {
    let operator = Operator::new();
    let server = server(&operator.config(&[]));
    let user = operator.user();
    works(Connect::to(server.url()).jwt(user.jwt.clone(), user.seed.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payments.creds");
    fs::write(&file, user.file()).unwrap();
    works(Connect::to(server.url()).credentials_file(&file)).await;
    let stranger = Operator::new().user();
    let text = refused(Connect::to(server.url()).jwt(stranger.jwt, stranger.seed)).await;
    assert!(text.contains("a JWT"), "{text}");
    fs::remove_file(&file).unwrap();
    let missing = Connect::to(server.url()).credentials_file(&file).connect().await;
    let text = missing.unwrap_err().to_string();
    assert!(
        text.contains("payments.creds") && text.contains("cannot be read"),
        "{text}"
    );
}

#[tokio::test]
async fn tls_and_mutual_tls() {
    let certificates = Certificates::new();
    let authority = certificates.file("authority.pem");
    let tls = server(&certificates.config(false));
    works(Connect::to(tls.url()).root_certificates(&authority)).await;
    works(Connect::to(format!("tls://127.0.0.1:{}", tls.port())).root_certificates(&authority)).await;
    let text = untrusted(Connect::to(tls.url())).await;
    assert!(text.contains("`root_certificates`"), "{text}");

    let mutual = server(&certificates.config(true));
    let (certificate, key) = (certificates.file("client.pem"), certificates.file("client.key"));
    let trusting = || Connect::to(mutual.url()).root_certificates(&authority);
    works(trusting().client_certificate(&certificate, &key)).await;
    let text = untrusted(trusting()).await;
    assert!(text.contains("`client_certificate`"), "{text}");
    let missing = trusting().client_certificate(&certificate, certificates.file("none.key"));
    let text = missing.connect().await.unwrap_err().to_string();
    assert!(text.contains("none.key cannot be read"), "{text}");

    let plain = server("");
    let connect = Connect::to(plain.url())
        .root_certificates(&authority)
        .require_tls();
    connect.connect().await.unwrap_err();
}

async fn untrusted(connect: Connect) -> String {
    match answer_of(connect).await {
        Err(error @ ConnectError::Tls { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A canary in every place where a secret can stand: none of them sings.
#[tokio::test]
async fn no_secret_is_in_debug_in_errors_or_in_logs() {
    let (log, _guard) = Log::listen();
    let operator = Operator::new();
    let (key, user) = (KeyPair::new_user().seed().unwrap(), operator.user());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.creds");
    fs::write(&file, user.file()).unwrap();
    let broken = folder.path().join("broken.creds");
    fs::write(&broken, "CANARY").unwrap();
    let context = folder.path().join("context.json");
    fs::write(&context, r#"{ "token": "CANARY", "url": 7 }"#).unwrap();
    let server = server("authorization { timeout: 30, user: ann, password: CANARY-that-is-right }");
    let to = || Connect::to(server.url());
    let port = server.port();
    let connects = [
        to().user("ann", "CANARY"),
        to().token("CANARY"),
        to().nkey(key.clone()),
        to().nkey("CANARY"),
        to().jwt(user.jwt.clone(), user.seed.clone()),
        to().jwt("CANARY", "CANARY"),
        to().credentials_file(&file),
        to().credentials_file(&broken),
        to().user("ann", "CANARY").token("CANARY"),
        Connect::to(format!("nats://ann:CANARY@127.0.0.1:{port}")),
        Connect::to(format!("nats://CANARY@127.0.0.1:{port}")),
        Connect::to("nats://ann:CANARY@127.0.0.1:no-port"),
        Connect::to("http://ann:CANARY@127.0.0.1:1,nats://bob:CANARY@127.0.0.1:1"),
        Connect::to("nats://ann:CANARY@127.0.0.1:1"),
    ];
    let mut said = vec![format!(
        "{:?}",
        Connect::context(context.to_str().unwrap()).unwrap_err()
    )];
    for connect in connects {
        said.push(format!("{connect:?}"));
        let error = connect.connect().await.unwrap_err();
        said.push(format!("{error} {error:?}"));
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            said.push(error.to_string());
            source = error.source();
        }
    }
    // What goes well is logged as well.
    let nats = connected(to().user("ann", "CANARY-that-is-right")).await;
    said.push(format!("{nats:?}"));
    let secrets = ["CANARY", &key, &user.jwt, &user.seed];
    // The client's own lines too: it hears of no secret but in answer to the server.
    let lines = log.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("async_nats")),
        "{lines:?}"
    );
    for text in said.iter().chain(&lines) {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
