//! A worker is killed at every step between receipt and ack.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;

use super::QUIET_WITHIN;
use crate::{
    hook::Death,
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

/// The steps that messages take everywhere. [`super::once`], [`super::ordered`] and [`super::replay`] have some more.
pub(super) const STEPS: [&str; 10] = [
    "pulled",
    "in hand",
    "decoded",
    "handled",
    "stored",
    "counted",
    "kept",
    "runs read",
    "marked",
    "settled",
];
/// Of three hundred messages a second each step is taken by at least sixty.
pub(super) const DIES_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    at_every_step(report, scale).await?;
    at_any_moment(report, scale).await
}

async fn at_every_step(report: &mut Report, scale: Scale) -> Outcome {
    for step in STEPS {
        killed_at(report, "workers", step, World::alone().await?, scale).await?;
    }
    Ok(())
}

/// Workers that are killed at one step, one after the other; then a healthy one finishes.
pub(super) async fn killed_at(
    report: &mut Report,
    part: &str,
    step: &str,
    world: World,
    scale: Scale,
) -> Outcome {
    let kills = scale.times(3, 1);
    let load = world.load(300, Kind::mixed);
    for kill in 0..kills {
        let mut options = world.options();
        let count = 1 + u64::from(kill) * 40;
        options.death = Some(Death {
            step: step.to_owned(),
            count,
        });
        world.worker(&options).await?.dies(DIES_WITHIN).await?;
    }
    let healthy = world.worker(&world.options()).await?;
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    healthy.stop().await?;
    report.row(part, &format!("{kills} × SIGKILL at `{step}`"), &books, None);
    Ok(())
}

/// Two workers, one of which is killed at any moment and started again.
async fn at_any_moment(report: &mut Report, scale: Scale) -> Outcome {
    one_of_two(report, "workers", World::alone().await?, scale).await
}

pub(super) async fn one_of_two(report: &mut Report, part: &str, world: World, scale: Scale) -> Outcome {
    let kills = scale.times(40, 4);
    let load = world.load(300, Kind::mixed);
    let mut workers = VecDeque::new();
    for _ in 0..2 {
        workers.push_back(world.worker(&world.options()).await?);
    }
    for _ in 0..kills {
        // So long it lives.
        sleep(Duration::from_millis(fastrand::u64(50..800))).await;
        if let Some(worker) = workers.pop_front() {
            worker.kill().await?;
        }
        workers.push_back(world.worker(&world.options()).await?);
    }
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let what = format!("{kills} × SIGKILL of one of two at any moment");
    report.row(part, &what, &books, None);
    Ok(())
}
