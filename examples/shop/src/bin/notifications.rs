//! The notifications service, on the server at `$NATS_URL`.

use tidewire_shop::notifications::{Mailbox, service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _traces = tidewire_shop::log_to_stderr("notifications");
    let nats = tidewire_shop::connect("notifications").await?;
    let state = Mailbox::open(&nats).await?;
    tidewire_shop::monitored(service(state))?.run(nats).await?;
    Ok(())
}
