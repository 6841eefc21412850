//! A handler is tested as the function that it is: without a server, and without mocks of the framework.
//!
//! ```text
//! $ cargo run --example testing
//! a paid order is confirmed
//! an unpaid order is tried again, and nothing is emitted
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Class, ErrorBody, prelude::*};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.placed", key = order)]
struct Placed {
    order: u64,
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.payments.payment.process", key = order)]
struct Pay {
    order: u64,
}

#[derive(Debug, PartialEq, Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.checkout.order.confirmed", key = order)]
struct Confirmed {
    order: u64,
}

async fn confirm(pay: Ask<Pay>, done: Emit<Confirmed>, Event(e): Event<Placed>) -> Result<(), Failure> {
    pay.ask(Pay { order: e.order }).await?;
    done.emit(Confirmed { order: e.order });
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let placed = || Event(Placed { order: 7 });

    let (emit, emitted) = Emit::recording();
    let outcome = confirm(Ask::answering(|_| Ok(())), emit, placed()).await;
    assert!(outcome.is_ok());
    assert_eq!(emitted.take(), [Confirmed { order: 7 }]);
    println!("a paid order is confirmed");

    let no_cover = ErrorBody {
        code: "no_cover".into(),
        message: "the card has no cover".into(),
        retryable: false,
        details: serde_json::Value::Null,
    };
    let declining = Ask::answering(move |_| Err(no_cover.clone()));
    let (emit, emitted) = Emit::recording();
    let outcome = confirm(declining, emit, placed()).await;
    assert!(outcome.is_err_and(|failure| matches!(failure.class(), Class::Retry(_))));
    assert_eq!(emitted.take(), []);
    println!("an unpaid order is tried again, and nothing is emitted");
}
