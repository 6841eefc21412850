//! The orders service, on the server at `$NATS_URL`.

use tidewire_shop::orders::{Orders, service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _traces = tidewire_shop::log_to_stderr("orders");
    let nats = tidewire_shop::connect("orders").await?;
    let state = Orders::open(&nats).await?;
    tidewire_shop::monitored(service(state))?.run(nats).await?;
    Ok(())
}
