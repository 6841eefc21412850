//! The inventory service, on the server at `$NATS_URL`.

use tidewire_shop::inventory::{Stock, service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _traces = tidewire_shop::log_to_stderr("inventory");
    let nats = tidewire_shop::connect("inventory").await?;
    let state = Stock::open(&nats).await?;
    tidewire_shop::monitored(service(state))?.run(nats).await?;
    Ok(())
}
