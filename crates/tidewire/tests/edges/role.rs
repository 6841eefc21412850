//! Parts that the tests of the edges play in processes of their own: `edges_role connect` and `edges_role serve`.

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

use messages::{Seen, payments, processed, shipping};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("connect") => connect().await,
        Some("serve") => serve().await?,
        _ => return Err("connect or serve?".into()),
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
