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
    let many = scale.pick(1_000_000, 30_000);
    behind_a_slow_one(report, World::alone().await?, many, "a backlog").await?;
    // No more than a few thousand are in hand, however long it is.
    let ordered = World::alone().await?.ordered();
    behind_a_slow_one(report, ordered, scale.pick(200_000, 20_000), "a backlog, by key").await
}

async fn behind_a_slow_one(report: &mut Report, world: World, many: usize, what: &str) -> Outcome {
    world.post(many, |_| Kind::Fine).await?;
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
        &format!("{what}; the worker had at most {} MiB", most >> 10),
        &books,
        fault,
    );
    Ok(())
}
