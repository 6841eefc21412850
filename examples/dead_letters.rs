//! What no attempt helps is a dead letter: stored whole, looked at, and given back once its cause is mended.
//!
//! ```text
//! $ cargo run --example dead_letters
//! rejected: the bridge is down
//! shipped to Atlantis by road
//! replayed: handled
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::atomic::AtomicBool, sync::atomic::Ordering::SeqCst, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tidewire_ops::{DeadLetters, Replay, Selection};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.shipping.parcel.packed")]
struct ParcelPacked {
    to: String,
}

/// Whether somebody has mended what the handler needs.
static MENDED: AtomicBool = AtomicBool::new(false);

async fn ship(Event(parcel): Event<ParcelPacked>) -> Result<(), Failure> {
    let mended = MENDED.load(SeqCst).then_some("road");
    let road = mended.ok_or("the bridge is down").or_reject()?;
    println!("shipped to {} by {road}", parcel.to);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;
    let shipping = Service::new("shipping", "1.0.0")
        .context(Context::new("orders.shipping"))
        .publishes::<ParcelPacked>()
        .on(durable("ship", ship))
        .start(nats.clone())
        .await?;
    let to = "Atlantis".into();
    shipping.bus().publish(&ParcelPacked { to }).await?;
    let (dead, mut letters) = (DeadLetters::open(&nats, "an example").await?, Vec::new());
    while letters.is_empty() {
        letters = dead.list(&Selection::default()).await?.letters;
    }
    println!("{}: {}", letters[0].class, letters[0].error);
    MENDED.store(true, SeqCst);
    let how = Replay {
        to_subject: false, // to the handler that failed, and to nobody else
        rate: None,
        within: Duration::from_secs(60),
    };
    dead.replay(letters, how, |letter| println!("replayed: {}", letter.end))
        .await?;
    Ok(shipping.stop().await?)
}
