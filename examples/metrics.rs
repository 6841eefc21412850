//! Metrics and health on an address of their own; what the program counts itself is there as well.
//!
//! ```text
//! $ cargo run --example metrics
//! ready
//! messaging_client_consumed_messages_total{service="office",consumer="office__call",message="office.phone.call.requested",outcome="handled"} 1
//! minutes_talked_total{line="red"} 3
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, net::SocketAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream, time::sleep};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "office.phone.call.requested", key = to)]
struct CallRequested {
    to: String,
}

async fn call(Event(_): Event<CallRequested>) {
    metrics::counter!("minutes_talked_total", "line" => "red").increment(3);
}

async fn get(address: SocketAddr, path: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split_once("\r\n\r\n").ok_or("no answer")?.1.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let office = Service::new("office", "1.0.0")
        .context(Context::new("office.phone"))
        .publishes::<CallRequested>()
        .on(durable("call", call))
        .monitor(([127, 0, 0, 1], 0)) // any free port; in a container ([0, 0, 0, 0], 9464)
        .start(tidewire::connect(server.url()).await?)
        .await?;
    let address = office.monitor_address().ok_or("it listens")?;
    print!("{}", get(address, "/readyz").await?);
    office.bus().publish(&CallRequested { to: "Ada".into() }).await?;
    let is_shown = |line: &&str| line.contains("consumed") && line.ends_with(" 1") || line.starts_with("min");
    let mut lines = Vec::new();
    while lines.len() < 2 {
        sleep(Duration::from_millis(10)).await;
        let figures = get(address, "/metrics").await?;
        lines = figures.lines().filter(is_shown).map(str::to_owned).collect();
    }
    lines.sort_unstable();
    println!("{}", lines.join("\n"));
    Ok(office.stop().await?)
}
