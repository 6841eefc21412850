//! A command and a query are answered; "no" is an answer too, and comes as a typed error with its code.
//!
//! ```text
//! $ cargo run --example request_reply
//! 70 left
//! insufficient_funds: there is less than that
//! the balance is 70
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{error::Error, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{AskError, prelude::*};
use tokio::sync::Mutex;

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "bank.accounts.account.withdraw", reply = u64)]
struct Withdraw {
    amount: u64,
}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "bank.accounts.account.get", reply = u64)]
struct GetBalance;

type Balance = Arc<Mutex<u64>>;

async fn withdraw(State(balance): State<Balance>, Command(cmd): Command<Withdraw>) -> Result<u64, Failure> {
    let mut balance = balance.lock().await;
    let left = balance.checked_sub(cmd.amount).ok_or("there is less than that");
    *balance = left.or_decline("insufficient_funds")?;
    Ok(*balance)
}

async fn get(State(balance): State<Balance>, Query(_): Query<GetBalance>) -> u64 {
    *balance.lock().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let nats = tidewire::connect(server.url()).await?;

    let bank = Service::new("bank", "1.0.0").state(Balance::new(100.into()));
    let _bank = bank.command(withdraw).query(get).start(nats.clone()).await?;

    let customer = Service::new("customer", "1.0.0").asks::<Withdraw>();
    let customer = customer.asks::<GetBalance>().start(nats).await?;
    for amount in [30, 80] {
        match customer.bus().ask(&Withdraw { amount }).await {
            Ok(left) => println!("{left} left"),
            Err(AskError::Refused { error, .. }) => println!("{}: {}", error.code, error.message),
            Err(error) => return Err(error.into()), // nobody answers, say, or not in time
        }
    }
    println!("the balance is {}", customer.bus().ask(&GetBalance).await?);
    Ok(())
}
