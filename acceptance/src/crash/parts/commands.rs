//! A worker is killed at every step of a job, whose handler sends a durable command, and of that command.

use std::error::Error;

use super::{server, workers};
use crate::{
    jobs::Way,
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

const SHORT: [&str; 3] = ["handled", "stored", "settled"];

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    for step in scale.pick(workers::STEPS.to_vec(), SHORT.to_vec()) {
        workers::killed_at(report, "commands", step, world().await?, scale).await?;
    }
    workers::one_of_two(report, "commands", world().await?, scale).await?;
    server::killed_under(report, "commands", world().await?, scale).await
}

async fn world() -> Result<World, Box<dyn Error>> {
    Ok(World::alone().await?.by(Way::ByOrder))
}
