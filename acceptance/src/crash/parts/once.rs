//! One effect for one message, beyond what the stream of the effects remembers.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;

use super::QUIET_WITHIN;
use crate::{
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    world::{Servers, World},
};

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    workers(report, scale).await?;
    server(report, scale).await
}

/// Two workers, one of which is killed at any moment and started again.
async fn workers(report: &mut Report, scale: Scale) -> Outcome {
    let kills = scale.times(40, 4);
    let world = World::alone_and_once().await?;
    let load = world.load(150, Kind::mixed);
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
    report.row(
        "once",
        &format!("{kills} × SIGKILL of one of two workers"),
        &books,
        None,
    );
    Ok(())
}

/// After a crash of the server messages come again that were acked.
async fn server(report: &mut Report, scale: Scale) -> Outcome {
    let kills = scale.times(100, 2);
    let mut world = World::alone_and_once().await?;
    let load = world.load(150, Kind::mixed);
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
    report.row("once", &format!("{kills} × SIGKILL of the server"), &books, None);
    Ok(())
}
