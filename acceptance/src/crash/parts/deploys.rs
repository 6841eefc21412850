//! Rolling deployments over a backlog: two instances, one after the other asked to end (SIGTERM) and started again.

use std::time::Duration;

use super::QUIET_WITHIN;
use crate::{
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::World,
};

/// What waits at least when an instance is deployed: enough for the other one for nine seconds.
const LEAST: u64 = 500;

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let deploys = scale.times(8, 2);
    let backlog = scale.pick(2_000, 1_000);
    let world = World::alone().await?;
    world.post(backlog, |_| Kind::Fine).await?;
    let slow = || Options {
        attempts: 2,
        concurrency: 8,
        takes: Duration::from_millis(150),
        ack_wait: Duration::from_secs(30),
        ..world.options()
    };
    let mut workers = Vec::new();
    for _ in 0..2 {
        workers.push(world.worker(&slow()).await?);
    }
    let mut least = u64::MAX;
    for _ in 0..deploys {
        for _ in 0..workers.len() {
            // However slowly they are deployed, there is a backlog.
            if world.pending().await? < LEAST {
                world.post(backlog, |_| Kind::Fine).await?;
            }
            workers.remove(0).stop().await?;
            least = least.min(world.pending().await?);
            workers.push(world.worker(&slow()).await?);
        }
    }
    let books = world.books(QUIET_WITHIN).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let faults = [
        (least == 0).then(|| "the backlog was gone before a deployment: it shows too little".to_owned()),
        books.fault("a deployment cost an attempt", |entry| {
            entry.runs.iter().any(|(_, attempt)| *attempt != 1)
        }),
        books.fault("run more than once", |entry| entry.runs.len() != 1),
    ];
    report.row(
        "deploys",
        &format!("{deploys} rolling deployments of 2, two attempts; {least} waited at least"),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}
