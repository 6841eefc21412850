//! A message whose handler aborts the process, among healthy ones; a supervisor starts the worker again each time.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::sleep;

use super::{QUIET_WITHIN, ordered};
use crate::{
    jobs::{Kind, Way},
    ledger::{Line, What},
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::World,
};

/// How often the message is run that counts: its first run is free, and its second is beside others.
const COUNTED: u32 = 3;
/// The number of the job that aborts.
const ABORTS: usize = 150;
/// What is posted beside it as long as it aborts.
const PER_SECOND: u32 = 100;
const DIES_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let alone = World::alone().await?;
    aborts(report, alone, scale, "one message", World::options).await?;
    let batches = World::alone().await?.by(Way::Batches);
    aborts(report, batches, scale, "one message in batches", World::options).await?;
    let ordered = World::alone().await?.ordered();
    aborts(report, ordered, scale, "one message of its key", ordered::options).await?;
    let one_by_one = World::alone().await?.ordered();
    aborts(
        report,
        one_by_one,
        scale,
        "one message of its key, one by one",
        |world| Options {
            concurrency: 1,
            ..ordered::options(world)
        },
    )
    .await
}

async fn aborts(
    report: &mut Report,
    world: World,
    scale: Scale,
    whose: &str,
    options: fn(&World) -> Options,
) -> Outcome {
    world.post(scale.pick(2_000, 300), mixed_with_abort).await?;
    let load = world.load(PER_SECOND, mixed_with_abort);
    let told = || Options {
        attempts: COUNTED,
        ..options(&world)
    };
    let concurrency = told().concurrency;
    let mut handled = Vec::new();
    let survivor = loop {
        let mut worker = world.worker(&told()).await?;
        tokio::select! {
            died = worker.dies(DIES_WITHIN) => died?,
            kept = kept(&world), if handled.len() > COUNTED as usize => {
                kept?;
                break worker;
            }
        }
        handled.push(world.books_now().await?.sums().handled);
    };
    load.stop().await;
    let books = world.books(QUIET_WITHIN).await?;
    survivor.stop().await?;
    let again = run_again(&world.lines()?);
    let faults = [
        // Between two deaths there may be no time for any; and one by one it is the first again from the second death on.
        (handled.get(usize::from(concurrency > 1)) >= handled.last())
            .then(|| format!("others did not flow: after each death as many were handled: {handled:?}")),
        // Of those that run beside it some may have an end of which the stream was not told yet.
        (concurrency == 1 && !again.is_empty())
            .then(|| format!("done before the message ran alone, and run again: {again:?}")),
        books.fault("aborts, and is no letter of the class `crashed`", |entry| {
            entry.kind == Kind::Abort && entry.class != "crashed"
        }),
        books.fault("aborted more or less often than it may", |entry| {
            entry.kind == Kind::Abort && !are_as_promised(&entry.runs)
        }),
    ];
    report.row(
        "abort",
        &format!("{} × abort() by {whose}, restarted each time", handled.len()),
        &books,
        faults.into_iter().flatten(),
    );
    Ok(())
}

/// Waits until the message that aborts is a dead letter.
async fn kept(world: &World) -> Outcome {
    while world.books_now().await?.jobs[ABORTS].letter.is_none() {
        sleep(LOOK).await;
    }
    Ok(())
}

/// Whether a message that aborts may have had these attempts. Before those that count are its first run, of which nobody
/// knows, and one beside others; or that alone, where the message came again before it was run at all.
fn are_as_promised(runs: &[(String, u32)]) -> bool {
    let attempts: Vec<_> = runs.iter().map(|(_, attempt)| *attempt).collect();
    let counted: Vec<_> = (1..=COUNTED).collect();
    matches!(attempts.strip_suffix(&counted[..]), Some([1] | [1, 1]))
}

/// Which jobs were done in the life of a worker, before it ran the message that aborts without any other suspect, and ran
/// again later.
fn run_again(lines: &[Line]) -> BTreeSet<usize> {
    let runs = lines
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, line)| begins(line) == Some(ABORTS));
    let jobs = runs.take(COUNTED as usize).map(|(position, line)| {
        let (before, after) = lines.split_at(position);
        let own = before.iter().filter(|other| other.worker == line.worker);
        let done: BTreeSet<_> = own.filter_map(done).collect();
        let again: BTreeSet<_> = after.iter().filter_map(begins).collect();
        &done & &again
    });
    jobs.flatten().collect()
}

fn begins(line: &Line) -> Option<usize> {
    match line.what {
        What::Begins { number, .. } => Some(number),
        _ => None,
    }
}

fn done(line: &Line) -> Option<usize> {
    match line.what {
        What::Ends {
            number, well: true, ..
        } => Some(number),
        _ => None,
    }
}

fn mixed_with_abort(number: usize) -> Kind {
    if number == ABORTS {
        Kind::Abort
    } else {
        Kind::mixed(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Source;

    #[test]
    fn what_is_done_before_a_run_alone_and_run_after_it_is_found() {
        let line = |worker: &str, what| Line {
            at: 0,
            worker: worker.to_owned(),
            what,
        };
        let begins = |worker, number| line(worker, What::Begins { number, attempt: 1 });
        let ends = |worker, number, well| {
            let (source, sequence) = (Source::Jobs, 1);
            let what = What::Ends {
                number,
                source,
                sequence,
                well,
            };
            line(worker, what)
        };
        let lines = [
            ends("w1", 1, true),
            begins("w1", ABORTS),
            begins("w2", ABORTS),
            ends("w3", 2, true),
            ends("w3", 3, false),
            ends("w3", 4, true),
            begins("w3", ABORTS),
            ends("w3", 5, true),
            begins("w4", ABORTS),
            begins("w5", ABORTS),
        ];
        let then = |numbers: [usize; 5]| {
            let next = numbers.map(|number| begins("w6", number));
            run_again(&[&lines[..], &next].concat())
        };
        assert_eq!(then([1, 3, 5, 6, 7]), BTreeSet::new());
        assert_eq!(then([1, 2, 3, 4, 5]), BTreeSet::from([2, 4]));
    }
}
