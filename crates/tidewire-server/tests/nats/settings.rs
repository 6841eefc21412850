//! What the builder's settings do, and how a start fails.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;
use tidewire_server::{Server, ServerError};

use crate::client::Client;

fn monitoring(server: &Server, page: &str) -> Value {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let url = format!("{}{page}", server.monitoring_url());
    serde_json::from_str(
        &agent
            .get(url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap(),
    )
    .unwrap()
}

#[test]
fn every_setting_reaches_the_server() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server::builder()
        .port(port)
        .name("orders-\"1\"")
        .sync_always(true)
        .config("max_payload: 4096")
        .start()
        .unwrap();
    assert_eq!(server.url(), format!("nats://127.0.0.1:{port}"));
    let info = Client::connect(&server.url()).unwrap().info;
    assert_eq!(
        (&info["server_name"], &info["max_payload"]),
        (&"orders-\"1\"".into(), &4096.into())
    );
    assert_eq!(monitoring(&server, "/jsz")["config"]["sync_always"], true);
    assert_eq!(
        monitoring(&Server::start().unwrap(), "/jsz")["config"]["sync_always"],
        Value::Null
    );
}

#[test]
fn without_jetstream_there_is_none() {
    let server = Server::builder().jetstream(false).start().unwrap();
    assert_eq!(
        Client::connect(&server.url()).unwrap().info["jetstream"],
        Value::Null
    );
}

#[test]
fn a_server_that_wants_a_password_starts_too() {
    let server = Server::builder()
        .config("authorization { user: a, password: b }")
        .start()
        .unwrap();
    assert!(Client::connect(&server.url()).is_err());
}

#[test]
fn a_mistake_in_the_configuration_is_shown_with_the_servers_own_words() {
    let Err(ServerError::Died { log }) = Server::builder().config("max_payload: lots").start() else {
        panic!("it must not start")
    };
    assert!(
        log.contains("nats-server.conf:5:1: interface conversion"),
        "{log}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let error = Server::builder().port(port).start().unwrap_err();
    assert!(
        matches!(error, ServerError::PortTaken { port: named } if named == port),
        "{error}"
    );
}

#[test]
fn a_port_that_is_held_for_a_moment_does_not_fail_a_restart() {
    let mut server = Server::start().unwrap();
    server.kill().unwrap();
    let holder = TcpListener::bind(("127.0.0.1", server.port())).unwrap();
    let failed = server.log().unwrap().len();
    let log = server.log_path();
    std::thread::scope(|scope| {
        // The port is given back once a start has failed for it.
        scope.spawn(move || {
            crate::guard::until("a start has failed", || {
                fs::read_to_string(&log).is_ok_and(|log| log[failed..].contains("address already in use"))
            });
            drop(holder);
        });
        server.restart().unwrap();
    });
    Client::connect(&server.url()).unwrap();
}
