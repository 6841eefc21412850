//! A worker that handles jobs in batches is killed at every step of a message.

use std::error::Error;

use super::workers;
use crate::{
    jobs::Way,
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

/// A batch emits nothing, so that nothing of it is `stored`.
const SHORT: [&str; 3] = ["decoded", "handled", "settled"];

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let all = workers::STEPS.into_iter().filter(|step| *step != "stored");
    for step in scale.pick(all.collect(), SHORT.to_vec()) {
        workers::killed_at(report, "batch", step, world().await?, scale).await?;
    }
    workers::one_of_two(report, "batch", world().await?, scale).await
}

async fn world() -> Result<World, Box<dyn Error>> {
    Ok(World::alone().await?.by(Way::Batches))
}
