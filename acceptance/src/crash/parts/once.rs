//! One effect for one message, beyond what the stream of the effects remembers.

use super::{server, workers};
use crate::{
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    workers::one_of_two(report, "once", World::alone_and_once().await?, scale).await?;
    // After a crash of the server messages come again that were acked.
    server::killed_under(report, "once", World::alone_and_once().await?, scale).await
}
