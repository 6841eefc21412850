//! The payments service, on the server at `$NATS_URL`.

use tidewire_shop::payments::{Gateway, breaker, service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _traces = tidewire_shop::log_to_stderr("payments");
    let nats = tidewire_shop::connect("payments").await?;
    let state = Gateway::open(&nats).await?;
    tidewire_shop::monitored(service(state, &breaker()))?
        .run(nats)
        .await?;
    Ok(())
}
