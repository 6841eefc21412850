//! The one server is killed under load, and comes back with its data.

use std::time::Duration;

use tokio::time::sleep;

use super::QUIET_WITHIN;
use crate::{
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::{Servers, World},
};

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    killed(report, scale).await?;
    paused(report, scale).await
}

async fn killed(report: &mut Report, scale: Scale) -> Outcome {
    killed_under(report, "server", World::alone().await?, scale).await
}

pub(super) async fn killed_under(report: &mut Report, part: &str, mut world: World, scale: Scale) -> Outcome {
    let kills = scale.times(100, 2);
    let load = world.load(200, Kind::mixed);
    let worker = world.worker(&world.options()).await?;
    for _ in 0..kills {
        // So long the load runs between two deaths; clients need up to half a second of it to come back.
        sleep(Duration::from_millis(fastrand::u64(500..1_500))).await;
        if let Servers::One(server) = &mut world.servers {
            server.kill()?;
            server.restart()?;
        }
    }
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    worker.stop().await?;
    report.row(part, &format!("{kills} × SIGKILL of the server"), &books, None);
    Ok(())
}

/// It hangs for longer than the ack wait: every lease runs out, and everything in hand comes again.
async fn paused(report: &mut Report, scale: Scale) -> Outcome {
    let pauses = scale.times(20, 1);
    let mut world = World::alone().await?;
    let load = world.load(100, Kind::mixed);
    let options = Options {
        takes: Duration::from_millis(50),
        ..world.options()
    };
    let worker = world.worker(&options).await?;
    for _ in 0..pauses {
        // So long the load runs between two pauses.
        sleep(Duration::from_millis(fastrand::u64(500..1_500))).await;
        if let Servers::One(server) = &mut world.servers {
            server.pause()?;
            sleep(options.ack_wait * 3 / 2).await;
            server.resume()?;
        }
    }
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    worker.stop().await?;
    let what = format!("{pauses} × SIGSTOP of the server for 1.5 ack waits");
    report.row("server", &what, &books, None);
    Ok(())
}
