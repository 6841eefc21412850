//! While what a handler needs is down, its breaker is open: nothing is tried, nothing is spent, nothing is lost.
//!
//! ```text
//! $ cargo run --example breaker
//! the printer is off, and the breaker open
//! attempt 1: a letter is printed
//! attempt 1: a poster is printed
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{CircuitState, prelude::*};
use tokio::{sync::watch, task::yield_now, time::Duration};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "office.paper.print.requested")]
struct PrintRequested {
    what: String,
}

type Printer = watch::Sender<(bool, u32)>; // whether it is on, and how many sheets it has printed

async fn print(
    State(printer): State<Printer>,
    Attempt(attempt): Attempt,
    Event(sheet): Event<PrintRequested>,
) -> Result<(), Failure> {
    let is_on = printer.borrow().0;
    is_on.then_some(()).ok_or("no answer").or_unavailable()?; // the message is not at fault
    println!("attempt {attempt}: a {} is printed", sheet.what);
    printer.send_modify(|(_, sheets)| *sheets += 1);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let printer = Printer::new((false, 0));
    let breaker = Breaker::new("printer").first_wait(Duration::from_millis(50)); // then 100 ms, 200 ms, … 30 s
    let office = Service::new("office", "1.0.0")
        .context(Context::new("office.paper"))
        .publishes::<PrintRequested>()
        .state(printer.clone())
        .on(durable("print", print).concurrency(1).circuit_breaker(&breaker))
        .start(tidewire::connect(server.url()).await?)
        .await?;
    for what in ["letter", "poster"].map(str::to_owned) {
        office.bus().publish(&PrintRequested { what }).await?;
    }
    while breaker.state() == CircuitState::Closed {
        yield_now().await;
    }
    println!("the printer is off, and the breaker open");
    printer.send_modify(|(on, _)| *on = true);
    printer.subscribe().wait_for(|(_, sheets)| *sheets == 2).await?;
    Ok(office.stop().await?)
}
