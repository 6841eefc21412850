//! One effect for one message, beyond what the stream of the effects remembers.

use super::{cluster, server, stopped, workers};
use crate::{
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    for step in workers::STEPS.into_iter().chain(["committed"]) {
        let world = World::alone().await?.once();
        workers::killed_at(report, "once", step, world, scale).await?;
    }
    let claiming = World::alone().await?.once().claiming();
    workers::killed_at(report, "once", "data stored", claiming, scale).await?;
    workers::one_of_two(report, "once", World::alone().await?.once(), scale).await?;
    // After a crash of the server messages come again that were acked.
    server::killed_under(report, "once", World::alone().await?.once(), scale).await?;
    cluster::killed_under(report, "once", World::of_three().await?.once(), scale).await?;
    // The late attempts end well, long after the effects of those that took over.
    stopped::stand_still(report, "once", World::alone().await?.once(), scale).await
}
