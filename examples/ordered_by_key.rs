//! Events of one account are booked one after the other, in their order; those of different accounts at once.
//!
//! ```text
//! $ cargo run --example ordered_by_key
//! a: +1 +2 +3 (failed) +3 +4 +5
//! b: +1 +2 +3 +4 +5
//! c: +1 +2 +3 +4 +5
//! ```
#![expect(clippy::print_stdout, reason = "its output is what it shows")]

use std::{collections::BTreeMap, error::Error};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::sync::mpsc::{Sender, channel};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "bank.accounts.account.credited", key = account)]
struct AccountCredited {
    account: String,
    amount: u32,
}

/// Later events of the account wait until this one is handled or a dead letter; other accounts do not.
async fn book(
    State(said): State<Sender<(String, String)>>,
    Attempt(attempt): Attempt,
    Event(AccountCredited { account, amount }): Event<AccountCredited>,
) -> Result<(), Failure> {
    if (account.as_str(), amount, attempt) == ("a", 3, 1) {
        said.send((account, format!(" +{amount} (failed)"))).await?;
        return Err("the ledger is locked").or_retry();
    }
    Ok(said.send((account, format!(" +{amount}"))).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tidewire_server::Server::start()?;
    let (sender, mut said) = channel(100);
    let bank = Service::new("bank", "1.0.0").context(Context::new("bank.accounts"));
    let book = durable("book", book).ordered_by_key();
    let bank = bank.state(sender).publishes::<AccountCredited>().on(book);
    let bank = bank.start(tidewire::connect(server.url()).await?).await?;
    for amount in 1..=5 {
        for account in ["a", "b", "c"].map(String::from) {
            bank.bus().publish(&AccountCredited { account, amount }).await?;
        }
    }
    let mut booked = BTreeMap::<_, String>::new();
    for _ in 0..16 {
        let (account, what) = said.recv().await.ok_or("nothing more")?;
        booked.entry(account).or_default().push_str(&what);
    }
    for (account, what) in booked {
        println!("{account}:{what}");
    }
    Ok(())
}
