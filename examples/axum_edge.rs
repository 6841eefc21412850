//! A web server at the edge: its route asks a command through the `Bus`, which is the router's state.
//!
//! ```text
//! $ cargo run --example axum_edge
//! HTTP/1.0 200 OK: one tea
//! HTTP/1.0 409 Conflict: `cafe.counter.drink.pour` was refused with `sold_out`: there is none left; ask for something else
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use axum::{Router, extract, http::StatusCode, routing::post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "cafe.counter.drink.pour", reply = String)]
struct Pour {
    drink: String,
}

async fn pour(Command(Pour { drink }): Command<Pour>) -> Result<String, Failure> {
    let served = (drink == "tea").then(|| "one tea".to_owned());
    served.ok_or("there is none left").or_decline("sold_out")
}

async fn order(extract::State(bus): extract::State<Bus>, drink: String) -> (StatusCode, String) {
    match bus.ask(&Pour { drink }).await {
        Ok(served) => (StatusCode::OK, served),
        Err(error) if error.is_transient() => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        Err(error) => (StatusCode::CONFLICT, error.to_string()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;
    let cafe = Service::new("cafe", "1.0.0").command(pour).asks::<Pour>();
    let cafe = cafe.start(nats).await?;

    let router = Router::new().route("/", post(order)).with_state(cafe.bus());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, router).await });

    for drink in ["tea", "gin"] {
        let mut client = TcpStream::connect(address).await?;
        let request = format!("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n{drink}");
        client.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        println!("{}: {body}", head.lines().next().unwrap_or_default());
    }
    Ok(())
}
