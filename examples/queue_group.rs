//! Two instances of one service share its commands, and a queue group shares live events: one instance handles each.
//!
//! ```text
//! $ cargo run --example queue_group
//! commands: both worked: true, total: 100
//! events: both worked: true, total: 100
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::mpsc::{Sender, channel};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "kitchen.orders.dish.cook", reply = usize)]
struct CookDish;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "kitchen.orders.dish.cooked")]
struct DishCooked;

/// The number of an instance, and where it says that it served a dish.
type Cook = (usize, Sender<usize>);

async fn cook(State((number, _)): State<Cook>, cooked: Emit<DishCooked>, _: Command<CookDish>) -> usize {
    cooked.emit(DishCooked);
    number
}

async fn serve(State((number, served)): State<Cook>, _: Event<DishCooked>) -> Result<(), Failure> {
    Ok(served.send(number).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;
    let (sender, mut dishes) = channel(100);
    let kitchen = |number| {
        let kitchen = Service::new("kitchen", "1.0.0").context(Context::new("kitchen.orders"));
        let kitchen = kitchen.state((number, sender.clone())).asks::<CookDish>();
        kitchen.command(cook).on(live(serve).queue_group("waiters")) // commands need no group of their own
    };
    let one = kitchen(0).start(nats.clone()).await?;
    let _other = kitchen(1).start(nats).await?;

    let (mut commands, mut events) = ([0; 2], [0; 2]);
    for _ in 0..100 {
        commands[one.bus().ask(&CookDish).await?] += 1;
        events[dishes.recv().await.ok_or("nobody serves")?] += 1;
    }
    for (what, [one, other]) in [("commands", commands), ("events", events)] {
        println!("{what}: both worked: {}, total: {}", one * other > 0, one + other);
    }
    Ok(())
}
