//! Parts that the tests of the edges play in processes of their own: `edges_role connect`, `serve`,
//! `send` and `read`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "its output is what the test reads"
)]

use std::{env, error::Error};

use tidewire::{Connect, ConnectError, RunError};

#[path = "support/messages.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod messages;

use messages::{PaymentProcessed, Seen, payments, processed, shipping};
use tidewire::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("connect") => connect().await,
        Some("serve") => serve().await?,
        Some("send") => send().await?,
        Some("read") => read().await?,
        _ => return Err("connect, serve, send or read?".into()),
    }
    Ok(())
}

/// Connects as this process's environment says, and tells how it went.
async fn connect() {
    let connect = match env::var("TIDEWIRE_TEST_CONTEXT") {
        Ok(name) => Connect::context(&name),
        Err(_) => Connect::from_env(),
    };
    match works(connect).await {
        Ok(inbox) => println!("works with {inbox}"),
        Err(error) => println!("fails: {error}"),
    }
}

async fn works(connect: Result<Connect, ConnectError>) -> Result<String, Box<dyn Error>> {
    let nats = connect?.connect().await?;
    let service = payments().start(nats.clone()).await?;
    service.bus().publish(&processed("p")).await?;
    Ok(nats.client().new_inbox())
}

/// Runs a service on a plain client, which nobody can make anew, until it ends, and tells why it did.
async fn serve() -> Result<(), Box<dyn Error>> {
    let nats = tidewire::async_nats::connect(env::var("TIDEWIRE_TEST_URL")?).await?;
    match shipping(&Seen::default()).run(nats).await {
        Err(error @ RunError::ConnectionClosed(_)) => println!("ends: {error}"),
        other => println!("ends otherwise: {other:?}"),
    }
    Ok(())
}

/// Eight mebibytes of which no two kibibytes are the same.
fn large() -> String {
    (0..1 << 20).fold(String::new(), |text, line| text + &format!("{line:07x}\n"))
}

/// Publishes an event with eight mebibytes of data.
async fn send() -> Result<(), Box<dyn Error>> {
    let nats = tidewire::connect(env::var("TIDEWIRE_TEST_URL")?).await?;
    let service = payments().claim_check_above(512 << 10).start(nats).await?;
    let event = PaymentProcessed {
        note: large(),
        ..processed("p")
    };
    service.bus().publish(&event).await?;
    println!("sent {}", event.note.len());
    Ok(())
}

/// Reads one event, and tells what came of it.
async fn read() -> Result<(), Box<dyn Error>> {
    async fn measure(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
        println!("read {} {}", paid.note.len(), paid.note == large());
        seen.note(paid.payment_id);
    }
    let nats = tidewire::connect(env::var("TIDEWIRE_TEST_URL")?).await?;
    let seen = Seen::default();
    let service = Service::new("reader", "1.0.0").state(seen.clone());
    let running = service.on(durable("measure", measure)).start(nats).await?;
    while seen.len() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(running.stop().await?)
}
