//! A long backlog behind a slow handler: it waits on the server, and not in the worker.

use std::time::Duration;

use crate::{
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::World,
};

/// The most memory that the worker may ever have.
const MOST_KIB: u64 = 64 << 10;
/// A million messages took five minutes on two processors, to post and to handle.
const QUIET_WITHIN: Duration = Duration::from_secs(3600);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let world = World::alone().await?;
    world.post(scale.pick(1_000_000, 50_000), |_| Kind::Fine).await?;
    let slow = Options {
        concurrency: 64,
        takes: Duration::from_millis(5),
        ack_wait: Duration::from_secs(30),
        ..world.options()
    };
    let worker = world.worker(&slow).await?;
    world.quiet(QUIET_WITHIN).await?;
    let most = worker.most_memory()?;
    let books = world.books(QUIET_WITHIN).await?;
    worker.stop().await?;
    let fault = (most > MOST_KIB).then(|| format!("{most} KiB, and {MOST_KIB} are promised"));
    report.row(
        "memory",
        &format!("a backlog; the worker had at most {} MiB", most >> 10),
        &books,
        fault,
    );
    Ok(())
}
