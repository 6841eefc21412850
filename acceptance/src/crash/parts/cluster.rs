//! The leader of the stream is killed under load, and rejoins.

use std::{error::Error, time::Duration};

use tokio::time::{Instant, sleep};

use super::QUIET_WITHIN;
use crate::{
    jobs::{JOBS, Kind},
    report::{Outcome, Report},
    run::Scale,
    world::{Servers, World},
};

/// How long an election and a rejoining may take.
const ELECTED_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    killed_under(report, "cluster", World::of_three().await?, scale).await
}

pub(super) async fn killed_under(report: &mut Report, part: &str, mut world: World, scale: Scale) -> Outcome {
    let kills = scale.times(20, 1);
    let load = world.load(200, Kind::mixed);
    let workers = [
        world.worker(&world.options()).await?,
        world.worker(&world.options()).await?,
    ];
    for _ in 0..kills {
        kill_leader(&mut world).await?;
    }
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    for worker in workers {
        worker.stop().await?;
    }
    report.row(
        part,
        &format!("{kills} × SIGKILL of the stream's leader of three"),
        &books,
        None,
    );
    Ok(())
}

/// The leader is killed, and joins the others again.
pub(super) async fn kill_leader(world: &mut World) -> Result<(), Box<dyn Error>> {
    // So long the load runs on three nodes, and then on two.
    sleep(Duration::from_secs(1)).await;
    let leader = current_leader(world).await?;
    if let Servers::Three(cluster) = &mut world.servers {
        cluster.node_mut(leader).kill()?;
        cluster.wait_ready()?;
        sleep(Duration::from_secs(2)).await;
        cluster.node_mut(leader).restart()?;
        cluster.wait_ready()?;
    }
    Ok(())
}

/// The node that leads the stream, once all of its replicas have what it has.
async fn current_leader(world: &World) -> Result<usize, Box<dyn Error>> {
    let deadline = Instant::now() + ELECTED_WITHIN;
    loop {
        if let Ok(stream) = world.nats.jetstream().get_stream(JOBS).await
            && let Some(cluster) = &stream.cached_info().cluster
            && let Some(leader) = &cluster.leader
            && cluster.replicas.iter().all(|replica| replica.current)
        {
            return Ok(leader.trim_start_matches("node-").parse()?);
        }
        if Instant::now() > deadline {
            return Err(
                format!("{JOBS} has no leader with current replicas after {ELECTED_WITHIN:?}").into(),
            );
        }
        sleep(LOOK).await;
    }
}
