//! The life of one service: the hidden verb that the demo starts.

use std::{io::Read as _, process::ExitCode, thread};

use tidewire::{Connect, Connection, Service};
use tidewire_shop::{
    inventory::{self, Stock},
    notifications::{self, Mailbox},
    orders::{self, Orders},
    payments::{self, Gateway},
};
use tokio::sync::oneshot;

use super::{
    args::{ShopService, ShopServiceArgs},
    breakers,
    error::DemoError,
};

/// Runs until SIGTERM, and then drains; or until standard input ends, because whoever holds the other end is gone.
pub(super) async fn shop_service(args: &ShopServiceArgs) -> Result<ExitCode, DemoError> {
    let _traces = tidewire_shop::log_to_stderr(args.service.name());
    // The demo's own server, whatever variables of the NATS tools say of another.
    let connect = Connect::to(tidewire_shop::nats_url()).service(args.service.name());
    let nats = connect.connect().await?;
    tokio::select! {
        ran = run(args.service, nats) => ran.map(|()| ExitCode::SUCCESS),
        _ = stdin_ended() => Ok(ExitCode::FAILURE),
    }
}

async fn run(service: ShopService, nats: Connection) -> Result<(), DemoError> {
    match service {
        ShopService::Orders => finish(orders::service(Orders::open(&nats).await?), nats).await,
        ShopService::Inventory => finish(inventory::service(Stock::open(&nats).await?), nats).await,
        ShopService::Payments => {
            let (gateway, breaker) = (Gateway::open(&nats).await?, payments::breaker());
            tokio::select! {
                ran = finish(payments::service(gateway, &breaker), nats) => ran,
                () = breakers::say_of(&breaker) => Ok(()),
            }
        }
        ShopService::Notifications => finish(notifications::service(Mailbox::open(&nats).await?), nats).await,
    }
}

async fn finish<S: Clone + Send + Sync + 'static>(
    service: Service<S>,
    nats: Connection,
) -> Result<(), DemoError> {
    Ok(service.run(nats).await?)
}

/// A thread of its own: a runtime would wait for a read that never ends.
fn stdin_ended() -> oneshot::Receiver<()> {
    let (over, ended) = oneshot::channel();
    thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut ignored = [0; 64];
        while matches!(stdin.read(&mut ignored), Ok(read) if read > 0) {}
        drop(over);
    });
    ended
}
