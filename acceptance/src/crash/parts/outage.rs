//! What the handler depends on is down for a while: that is no message's fault.

use std::{fs, time::Duration};

use tokio::time::{Instant, sleep};

use super::QUIET_WITHIN;
use crate::{
    jobs::Kind,
    ledger::What,
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::World,
};

/// How long it may take until a handler finds out that the gateway is down.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let down = Duration::from_secs(scale.pick(60, 3));
    let world = World::alone().await?;
    let gateway = world.file("the-gateway-is-down");
    let options = || Options {
        gateway: Some(gateway.clone()),
        ..world.options()
    };
    let workers = [world.worker(&options()).await?, world.worker(&options()).await?];
    let load = world.load(100, |_| Kind::Fine);
    // So long all is well; then the gateway is down for as long as the promise says.
    sleep(Duration::from_secs(1)).await;
    fs::write(&gateway, "")?;
    let deadline = Instant::now() + FOUND_WITHIN;
    while !world
        .lines()?
        .iter()
        .any(|line| matches!(line.what, What::Ends { well: false, .. }))
    {
        if Instant::now() > deadline {
            return Err(format!("nobody found the gateway down within {FOUND_WITHIN:?}").into());
        }
        sleep(LOOK).await;
    }
    sleep(down).await;
    fs::remove_file(&gateway)?;
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let faults = [books.fault("the outage cost an attempt", |entry| {
        entry.runs.iter().any(|(_, attempt)| *attempt != 1)
    })];
    report.row(
        "outage",
        &format!("the gateway down for {} s under load", down.as_secs()),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}
