//! A message whose handler aborts the process, among healthy ones; a supervisor starts the worker again each time.

use std::time::Duration;

use super::{QUIET_WITHIN, ordered};
use crate::{
    jobs::{Kind, Way},
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::World,
};

/// How often the message is run: its first run is free, its second is beside others, and then each is counted.
const RUNS: u32 = 5;
const COUNTED: u32 = RUNS - 2;
/// The number of the job that aborts.
const ABORTS: usize = 150;
/// What is posted beside it as long as it aborts.
const PER_SECOND: u32 = 100;
const DIES_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let alone = World::alone().await?;
    aborts(report, alone, scale, "one message", World::options).await?;
    let batches = World::alone().await?.by(Way::Batches);
    aborts(report, batches, scale, "one message in batches", World::options).await?;
    let ordered = World::alone().await?.ordered();
    aborts(report, ordered, scale, "one message of its key", ordered::options).await
}

async fn aborts(
    report: &mut Report,
    world: World,
    scale: Scale,
    whose: &str,
    options: fn(&World) -> Options,
) -> Outcome {
    world.post(scale.pick(2_000, 300), mixed_with_abort).await?;
    let load = world.load(PER_SECOND, mixed_with_abort);
    let told = || Options {
        attempts: COUNTED,
        ..options(&world)
    };
    let mut handled = vec![0];
    for _ in 0..RUNS {
        world.worker(&told()).await?.dies(DIES_WITHIN).await?;
        handled.push(world.books_now().await?.sums().handled);
    }
    load.stop().await;
    let survivor = world.worker(&told()).await?;
    let books = world.books(QUIET_WITHIN).await?;
    survivor.stop().await?;
    let faults = [
        (!handled.is_sorted_by(|before, after| before < after))
            .then(|| format!("others did not flow: after each death as many were handled: {handled:?}")),
        books.fault("aborts, and is no letter of the class `crashed`", |entry| {
            entry.kind == Kind::Abort && entry.class != "crashed"
        }),
        books.fault("aborted more or less often than it may", |entry| {
            entry.kind == Kind::Abort && entry.runs.len() != RUNS as usize
        }),
    ];
    report.row(
        "abort",
        &format!("{RUNS} × abort() by {whose}, restarted each time"),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}

fn mixed_with_abort(number: usize) -> Kind {
    if number == ABORTS {
        Kind::Abort
    } else {
        Kind::mixed(number)
    }
}
