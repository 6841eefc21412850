//! Servers on which a service cannot run say so at its start.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use tidewire::{Connect, Connection, StartError};
use tidewire_server::Server;

use crate::{
    overheard::Overheard,
    support::{Seen, cashier, connect_as, connect_to, named, payments, process, shipping, till},
};

#[tokio::test]
async fn jetstream_that_is_off_is_named_and_requests_work_without() {
    let off = Server::builder().jetstream(false).start().unwrap();
    let nats = connect_to(off.url()).await;
    let other = connect_to(off.url()).await;
    let mut overheard = Overheard::of(other, &SENT).await;
    let starts = [
        payments().start(nats.clone()).await,
        shipping(&Seen::default()).start(nats.clone()).await,
    ];
    for started in starts {
        let error = started.unwrap_err();
        assert!(matches!(error, StartError::NoJetStream { .. }), "{error}");
        assert!(error.to_string().contains("set `jetstream`"), "{error}");
    }
    assert_eq!(overheard.until_now(&nats).await.len(), 0, "nothing was sent");
    let seen = Seen::default();
    let start = async || cashier(&seen).start(nats.clone()).await;
    let _cashier = named(start).await.unwrap();
    let till = till().start(nats.clone()).await.unwrap();
    till.bus().ask(&process("p")).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(overheard.until_now(&nats).await.len(), 1, "as one hears here");
    assert_eq!(connections(&nats), 1, "the connection was never lost");
}

/// Where services send.
const SENT: [&str; 4] = ["orders.>", "queue.>", "errors.>", "dlq.>"];

fn connections(nats: &Connection) -> u64 {
    let statistics = nats.client().statistics();
    statistics.connects.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn an_account_without_jetstream_is_named() {
    let accounts = "accounts {
        WITH { jetstream: enabled, users: [{ user: with, password: with }] }
        WITHOUT { users: [{ user: without, password: without }] }
    }";
    let server = Server::builder().config(accounts).start().unwrap();
    payments().start(connect_as(&server, "with").await).await.unwrap();
    let nats = connect_as(&server, "without").await;
    let other = connect_as(&server, "without").await;
    let mut overheard = Overheard::of(other, &SENT).await;
    let start = async || payments().start(nats.clone()).await;
    let error = named(start).await.unwrap_err();
    assert!(matches!(error, StartError::NoJetStream { .. }), "{error}");
    assert!(error.to_string().contains("account"), "{error}");
    assert_eq!(overheard.until_now(&nats).await.len(), 0, "nothing was sent");
    let seen = Seen::default();
    let _cashier = cashier(&seen).start(nats.clone()).await.unwrap();
    let till = till().start(nats.clone()).await.unwrap();
    till.bus().ask(&process("p")).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(overheard.until_now(&nats).await.len(), 1, "as one hears here");
    assert_eq!(connections(&nats), 1, "the connection was never lost");
}

/// Speaks as much of the protocol as a client needs to be connected.
fn server_of_another_age(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let info = format!(
            "INFO {{\"server_id\":\"S\",\"server_name\":\"S\",\"version\":\"{version}\",\"host\":\"127.0.0.1\",\
             \"port\":{},\"headers\":true,\"max_payload\":1048576,\"proto\":1}}\r\n",
            address.port()
        );
        stream.write_all(info.as_bytes()).unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            if line.unwrap_or_default() == "PING" {
                stream.write_all(b"PONG\r\n").unwrap();
            }
        }
    });
    format!("nats://{address}")
}

#[tokio::test]
async fn a_server_that_is_too_old_is_named() {
    for version in ["2.10.0", "2.14.3", "2.14.3-RC.1"] {
        let nats = Connect::to(server_of_another_age(version))
            .connect()
            .await
            .unwrap();
        for error in [
            payments().start(nats.clone()).await.unwrap_err(),
            cashier(&Seen::default()).start(nats.clone()).await.unwrap_err(),
        ] {
            assert!(
                matches!(&error, StartError::ServerTooOld { found, .. } if found == version),
                "{error}"
            );
            assert!(error.to_string().contains("upgrade"), "{error}");
        }
    }
}
