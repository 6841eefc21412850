//! A worker stands still (SIGSTOP) for longer than its ack wait, and a handler takes longer than it.

use std::{fs, io, path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::QUIET_WITHIN;
use crate::{
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    watch::Watch,
    worker::Options,
    world::World,
};

const ACK_WAIT: Duration = Duration::from_secs(1);
/// Of a handler that hangs: a worker on a busy machine may be four seconds late to say that it still works.
const LONG_ACK_WAIT: Duration = Duration::from_secs(6);
const RUNS_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    stand_still(report, "stopped", World::alone().await?, scale).await?;
    hang(report, scale).await
}

pub(super) async fn stand_still(report: &mut Report, part: &str, world: World, scale: Scale) -> Outcome {
    let stops = scale.times(5, 1);
    let held = world.file("jobs-are-held");
    let slow = || Options {
        held: Some(held.clone()),
        takes: Duration::from_millis(300),
        ack_wait: ACK_WAIT,
        ..world.options()
    };
    let watch = Watch::begin(&world.servers.url()).await?;
    let mut late = 0;
    for _ in 0..stops {
        world.post(60, Kind::mixed).await?;
        // What it runs when it is made to stand still is not done before, however long that takes.
        fs::write(&held, "")?;
        let first = slow();
        let frozen = world.worker(&first).await?;
        let deadline = Instant::now() + RUNS_WITHIN;
        while world.runs_of(&first.name)? < first.concurrency {
            if Instant::now() > deadline {
                return Err(format!("{} did not run {} jobs", first.name, first.concurrency).into());
            }
            sleep(LOOK).await;
        }
        frozen.freeze()?;
        fs::remove_file(&held)?;
        let second = world.worker(&slow()).await?;
        // As long as the promise says.
        sleep(ACK_WAIT * 3).await;
        frozen.thaw()?;
        world.quiet(QUIET_WITHIN).await?;
        let log = frozen.log();
        // What it still runs ends before it does.
        frozen.stop().await?;
        second.stop().await?;
        late += lines_with(&log, "the lease ran out")?;
    }
    let books = world.books(QUIET_WITHIN).await?;
    let watched = watch.end().await?;
    let faults = [
        (late == 0).then(|| "no attempt was late: it shows nothing".to_owned()),
        (watched.taken_over == 0).then(|| "nothing was taken over: it shows nothing".to_owned()),
        watched.faults(),
    ];
    report.row(
        part,
        &format!(
            "{stops} × SIGSTOP for 3 ack waits; {late} late, {} of {} acks stale",
            watched.stale(),
            watched.settlements
        ),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}

async fn hang(report: &mut Report, scale: Scale) -> Outcome {
    let world = World::alone().await?;
    let ack_waits: u32 = scale.pick(10, 2);
    let hangs = LONG_ACK_WAIT * ack_waits;
    let watch = Watch::begin(&world.servers.url()).await?;
    world
        .post(
            100,
            |number| {
                if number % 20 == 0 { Kind::Hang } else { Kind::Fine }
            },
        )
        .await?;
    let options = || Options {
        ack_wait: LONG_ACK_WAIT,
        hangs,
        ..world.options()
    };
    let workers = [world.worker(&options()).await?, world.worker(&options()).await?];
    let books = world.books(QUIET_WITHIN).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let watched = watch.end().await?;
    let faults = [
        books.fault("run more than once", |entry| entry.runs.len() != 1),
        (watched.taken_over > 0)
            .then(|| format!("delivered again while a handler had it: {}", watched.taken_over)),
        watched.faults(),
    ];
    report.row(
        "stopped",
        &format!(
            "5 handlers that take {ack_waits} ack waits; {} of {} acks stale",
            watched.stale(),
            watched.settlements
        ),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}

fn lines_with(log: &Path, text: &str) -> io::Result<usize> {
    let log = fs::read_to_string(log)?;
    Ok(log.lines().filter(|line| line.contains(text)).count())
}
