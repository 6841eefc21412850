//! Dead letters are given back to their handler, and the worker is killed at every step of that.

use std::{error::Error, fs, time::Duration};

use tidewire_ops::{DeadLetters, Replay, ReplayEnd, Selection};

use super::{QUIET_WITHIN, workers};
use crate::{
    hook::Death,
    jobs::Kind,
    report::{Outcome, Report},
    run::Scale,
    world::World,
};

/// What becomes a letter: two of five are mended before the replay, and as many fail in it again.
const JOBS: usize = 250;
const LETTERS: usize = JOBS / 5 * 4;
/// How long the handler may take for one letter, its deaths included.
const WITHIN: Duration = Duration::from_secs(60);
const SHORT: [&str; 3] = ["handled", "letter handled", "kept"];

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let all = workers::STEPS.into_iter().chain(["letter handled"]);
    for step in scale.pick(all.collect(), SHORT.to_vec()) {
        killed_at(report, step, scale).await?;
    }
    Ok(())
}

async fn killed_at(report: &mut Report, step: &str, scale: Scale) -> Outcome {
    let kills = scale.times(3, 1);
    let world = World::alone().await?;
    world.post(JOBS, kinds).await?;
    let first = world.worker(&world.options()).await?;
    world.quiet(QUIET_WITHIN).await?;
    first.stop().await?;
    fs::write(world.mended(), "")?;

    let (ends, healthy) = tokio::try_join!(replay(&world), async {
        for kill in 0..kills {
            let mut options = world.options();
            options.death = Some(Death {
                step: step.to_owned(),
                count: 1 + u64::from(kill) * 10,
            });
            let mut worker = world.worker(&options).await?;
            worker.dies(workers::DIES_WITHIN).await?;
        }
        world.worker(&world.options()).await
    })?;
    let books = world.books(QUIET_WITHIN).await?;
    healthy.stop().await?;
    let handled = ends
        .iter()
        .filter(|end| matches!(end, ReplayEnd::Handled))
        .count();
    let is_other = |end: &&ReplayEnd| !matches!(end, ReplayEnd::Handled | ReplayEnd::Failed { .. });
    let other = ends.iter().find(is_other);
    let faults = [
        (ends.len() != LETTERS).then(|| format!("{} of {LETTERS} letters were given back", ends.len())),
        other.map(|end| format!("a letter that was given back came to another end: {end:?}")),
        books.fault(
            "mended, and not one effect of a letter that was replayed",
            |entry| entry.kind == Kind::Mend && !entry.is_repaired(),
        ),
        books.fault("failed again, and not stored again", |entry| {
            matches!(entry.kind, Kind::Reject | Kind::Never) && entry.failed != 2
        }),
    ];
    report.row(
        "replay",
        &format!("{kills} × SIGKILL at `{step}` of {LETTERS} letters, {handled} repaired"),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}

fn kinds(number: usize) -> Kind {
    match number % 5 {
        0 | 1 => Kind::Mend,
        2 => Kind::Reject,
        3 => Kind::Never,
        _ => Kind::Fine,
    }
}

/// Gives all letters back, and says what became of each.
async fn replay(world: &World) -> Result<Vec<ReplayEnd>, Box<dyn Error>> {
    let letters = DeadLetters::open(&world.nats, "crash").await?;
    let listed = letters.list(&Selection::default()).await?;
    let how = Replay {
        to_subject: false,
        rate: None,
        within: WITHIN,
    };
    let mut ends = Vec::new();
    letters
        .replay(listed.letters, how, |replayed| ends.push(replayed.end.clone()))
        .await?;
    Ok(ends)
}
