//! A time limit of one's own, as a layer around one handler and as one around all of them.
//!
//! ```text
//! $ cargo run --example layer_time_limit
//! `unavailable`: not done within 100ms
//! `unavailable`: not done within 200ms
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, future::pending, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::layer::{Delivery, Handled, HandlerLayer, Inner, Service as _, Unhandled, layer_fn};
use tidewire::{AskError, layered, prelude::*};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "office.paper.sheet.print")]
struct Print;

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "office.paper.sheet.get")]
struct GetSheet;

/// Stands for work that takes too long.
async fn hang<M>(_: M) {
    pending::<()>().await;
}

fn time_limit(millis: u64) -> impl HandlerLayer {
    let limit = Duration::from_millis(millis);
    layer_fn(move |handler: Inner| {
        tower::service_fn(move |delivery| limited(limit, handler.clone(), delivery))
    })
}

async fn limited(limit: Duration, mut handler: Inner, delivery: Delivery) -> Result<Handled, Unhandled> {
    let done = tokio::time::timeout(limit, handler.call(delivery)).await;
    let done = done.map_err(|_| format!("not done within {limit:?}"));
    done.or_unavailable()? // a caller may ask again; an event comes again
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let office = Service::new("office", "1.0.0")
        .asks::<Print>()
        .asks::<GetSheet>()
        .command(layered(hang::<Command<Print>>, time_limit(100))) // around this handler
        .query(hang::<Query<GetSheet>>)
        .layer(time_limit(200)) // around each handler
        .start(tidewire::connect(server.url()).await?)
        .await?;
    for answer in [office.bus().ask(&Print).await, office.bus().ask(&GetSheet).await] {
        if let Err(AskError::Refused { error, .. }) = answer {
            println!("`{}`: {}", error.code, error.message);
        }
    }
    Ok(())
}
