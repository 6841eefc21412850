//! How often an idle connection is probed, as its server sees it.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::support::{connect_to, soon};

/// How many come at once with a connection.
const AT_ONCE: usize = 2;

/// Answers every PING of the next client: the times between those that come after the ones at once.
async fn pings(listener: TcpListener, more: usize) -> Vec<Duration> {
    let (stream, _) = listener.accept().await.unwrap();
    let (from_client, mut to_client) = stream.into_split();
    let info = r#"{"server_id":"S","server_name":"S","version":"2.15.1","host":"127.0.0.1","port":4222,"proto":1,"max_payload":1048576,"headers":true}"#;
    let greeting = format!("INFO {info}\r\n");
    to_client.write_all(greeting.as_bytes()).await.unwrap();
    let (mut lines, mut came) = (BufReader::new(from_client).lines(), Vec::new());
    while came.len() < AT_ONCE + more {
        let line = lines.next_line().await.unwrap();
        if line.unwrap().trim_end() == "PING" {
            came.push(Instant::now());
            to_client.write_all(b"PONG\r\n").await.unwrap();
        }
    }
    let came = &came[AT_ONCE - 1..];
    came.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test]
async fn an_idle_connection_is_probed_every_five_to_ten_seconds() {
    const MORE: usize = 4;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(pings(listener, MORE));
    let _nats = connect_to(address).await;
    let mut between = soon(Duration::from_secs(90), "it is probed", server)
        .await
        .unwrap();
    between.sort_unstable();
    // What is seen late on a busy machine comes long after the one before it, and shortly before the next.
    let (least, most) = (Duration::from_millis(4500), Duration::from_secs(10));
    assert!(between[1] >= least && between[MORE - 2] <= most, "{between:?}");
}
