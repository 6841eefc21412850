//! A handler that fails is tried again, as its policy says, and some errors have a rule of their own.
//!
//! ```text
//! $ cargo run --example retry
//! attempt 1: the line is busy
//! attempt 2: the line is busy
//! attempt 3: Hello, Ada!
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, io, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::Notify;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "office.phone.call.requested", key = to)]
struct CallRequested {
    to: String,
}

/// A bare `?` on an error says: try again later.
async fn call(
    State(done): State<Arc<Notify>>,
    Attempt(attempt): Attempt,
    Event(call): Event<CallRequested>,
) -> Result<(), Failure> {
    if attempt < 3 {
        println!("attempt {attempt}: the line is busy");
        return Err(io::Error::from(io::ErrorKind::ResourceBusy))?;
    }
    println!("attempt {attempt}: Hello, {}!", call.to);
    done.notify_one();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let done = Arc::new(Notify::new());
    let policy = Retry::exponential(Duration::from_millis(10), Duration::from_secs(60)).max_attempts(8);
    let office = Service::new("office", "1.0.0")
        .context(Context::new("office.phone"))
        .publishes::<CallRequested>()
        .state(done.clone())
        .on(durable("call", call)
            .retry(policy) // 10 ms, 20 ms, 40 ms, … and after eight attempts the dead letters
            .on_error::<serde_json::Error>(Then::DeadLetter) // no attempt helps
            .time_limit(Duration::from_secs(5))) // an attempt that takes longer has failed
        .start(tidewire::connect(server.url()).await?)
        .await?;

    let to = "Ada".to_owned();
    office.bus().publish(&CallRequested { to }).await?;
    done.notified().await;
    Ok(office.stop().await?)
}
