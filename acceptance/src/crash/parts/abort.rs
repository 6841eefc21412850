//! A message whose handler aborts the process, among healthy ones; a supervisor starts the worker again each time.

use std::time::Duration;

use super::QUIET_WITHIN;
use crate::{
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

const DIES_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let jobs = scale.pick(2_000, 300);
    let world = World::alone().await?;
    world.post(jobs, mixed_with_abort).await?;
    let mut options = world.options();
    // Its first run is free, its second is beside others, and the other three are counted.
    let deaths = options.attempts + 2;
    for _ in 0..deaths {
        world.worker(&options).await?.dies(DIES_WITHIN).await?;
        options = world.options();
    }
    let survivor = world.worker(&options).await?;
    let books = world.books(QUIET_WITHIN).await?;
    survivor.stop().await?;
    let faults = [
        books.fault("aborts, and is no letter of the class `crashed`", |entry| {
            entry.kind == Kind::Abort && entry.class != "crashed"
        }),
        books.fault("aborted more or less often than it may", |entry| {
            entry.kind == Kind::Abort && entry.runs.len() != deaths as usize
        }),
    ];
    report.row(
        "abort",
        &format!("{deaths} × abort() by one message, restarted each time"),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}

fn mixed_with_abort(number: usize) -> Kind {
    if number == 150 {
        Kind::Abort
    } else {
        Kind::mixed(number)
    }
}
