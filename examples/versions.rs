//! Two versions of an event at once: the older one becomes the newer. What breaks its schema is not sent.
//!
//! ```text
//! $ cargo run --example versions
//! 700 cents
//! 250 cents
//! the data of `office.till.sale.made` breaks its schema: at `/cents`, expected at least 1
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::Notify;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "office.till.sale.made")] // what a till sends that nobody has upgraded
struct SaleMadeV1 {
    euros: u64,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "office.till.sale.made", version = 2, from = SaleMadeV1)]
struct SaleMade {
    #[schemars(range(min = 1))]
    cents: u64,
}

impl From<SaleMadeV1> for SaleMade {
    fn from(old: SaleMadeV1) -> Self {
        let cents = old.euros * 100;
        Self { cents }
    }
}

async fn book(State(booked): State<Arc<Notify>>, Event(sale): Event<SaleMade>) {
    println!("{} cents", sale.cents);
    booked.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, booked) = (tidewire_server::Server::start()?, Arc::new(Notify::new()));
    let nats = tidewire::connect(server.url()).await?;
    let till = Service::new("till", "1.0.0").context(Context::new("office.till"));
    let till = till.publishes::<SaleMadeV1>().start(nats.clone()).await?;
    let books = Service::new("books", "2.0.0").publishes::<SaleMade>();
    let books = books.state(booked.clone()).on(durable("book", book));
    let books = books.validate_sent().start(nats).await?;

    till.bus().publish(&SaleMadeV1 { euros: 7 }).await?;
    booked.notified().await;
    books.bus().publish(&SaleMade { cents: 250 }).await?;
    booked.notified().await;
    let refused = books.bus().publish(&SaleMade { cents: 0 }).await;
    println!("{}", refused.err().ok_or("it was sent")?);
    Ok(books.stop().await?)
}
