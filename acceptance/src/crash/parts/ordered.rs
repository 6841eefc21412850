//! Jobs of one key one after the other, though workers and the server are killed; some wait for long and are parked, with
//! those behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{QUIET_WITHIN, cluster, workers::DIES_WITHIN};
use crate::{
    hook::Death,
    jobs::{KEYS, Kind, key_of},
    ledger::What,
    load::Load,
    order,
    process::Worker,
    quiet::{parked, quiet_but_parked},
    report::{Outcome, Report},
    run::Scale,
    worker::Options,
    world::{Servers, World},
};

/// What waits when the first worker starts: of each key more than is held in hand behind one that failed, or less.
const DEEP: usize = 100 * KEYS;
const SHALLOW: usize = 40 * KEYS;
const PER_SECOND: u32 = 150;
/// How long it may take until something is parked and others have gone on.
const PARKED_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// The steps that the framework takes in order alone: of the lease, and of what is parked.
const STEPS: [&str; 6] = [
    "lease taken",
    "lease renewed",
    "term begun",
    "parked",
    "fetched",
    "taken out",
];
/// A lease lasts a second.
const STANDS_STILL: Duration = Duration::from_secs(3);
/// How long it may take until somebody is the active one.
const LEADS_WITHIN: Duration = Duration::from_secs(20);

pub(crate) async fn run(report: &mut Report, scale: Scale) -> Outcome {
    let ordered = async || Ok::<_, Box<dyn Error>>(World::alone().await?.ordered());
    let all = scale.pick(true, false);
    if all {
        workers_killed(report, ordered().await?, scale).await?;
    }
    workers_killed(report, ordered().await?.once(), scale).await?;
    at_every_step(report, scale).await?;
    stand_still(report, scale).await?;
    if all {
        server_killed(report, ordered().await?, scale).await?;
    }
    server_killed(report, ordered().await?.once(), scale).await?;
    if all {
        leader_killed(report, scale).await?;
    }
    Ok(())
}

/// A worker and its name.
type Named = (String, Worker);

pub(super) fn options(world: &World) -> Options {
    Options {
        // A lease lasts a second.
        ack_wait: Duration::from_secs(6),
        // Some are killed while a job is run for the last time, and healthy ones must not be charged with it.
        attempts: 5,
        ..world.options()
    }
}

async fn start(world: &World) -> Result<Named, Box<dyn Error>> {
    let options = options(world);
    Ok((options.name.clone(), world.worker(&options).await?))
}

async fn stop(world: &World, workers: impl IntoIterator<Item = Named>) -> Outcome {
    for (name, worker) in workers {
        worker.stop().await?;
        world.note(&name, What::Stops)?;
    }
    Ok(())
}

/// Two workers under load, and whether others go on while a key is parked.
async fn begin(world: &World, scale: Scale) -> Result<(Load, [Named; 2], Option<String>), Box<dyn Error>> {
    world.post(scale.pick(DEEP, SHALLOW), Kind::in_turns).await?;
    let load = world.load(PER_SECOND, Kind::in_turns);
    let workers = [start(world).await?, start(world).await?];
    Ok((load, workers, others_go_on(world).await?))
}

/// The books when all is quiet, and the order of what was done.
async fn end(
    report: &mut Report,
    world: &World,
    workers: impl IntoIterator<Item = Named>,
    what: &str,
    faults: impl IntoIterator<Item = Option<String>>,
) -> Outcome {
    let books = world.books(QUIET_WITHIN).await?;
    stop(world, workers).await?;
    let faults = faults.into_iter().flatten();
    report.row(
        "ordered",
        what,
        &books,
        faults.chain(order::faults(&world.lines()?, &books)),
    );
    Ok(())
}

async fn workers_killed(report: &mut Report, world: World, scale: Scale) -> Outcome {
    let kills = scale.times(40, 4);
    let (load, workers, stuck) = begin(&world, scale).await?;
    let mut workers = Vec::from(workers);
    let mut while_parked = 0;
    for _ in 0..kills {
        // So long they live; a lease is taken over after a second.
        sleep(Duration::from_millis(fastrand::u64(200..3_000))).await;
        while_parked += u32::from(!parked(&world.nats).await?.is_empty());
        let (name, worker) = workers.swap_remove(fastrand::usize(..workers.len()));
        // It may take long until it is gone, and somebody else leads meanwhile.
        world.note(&name, What::Dies)?;
        worker.kill().await?;
        world.note(&name, What::Dies)?;
        workers.push(start(&world).await?);
    }
    load.stop().await;

    // Nobody works: so each message is in one place, and stays there.
    let unquiet = quiet_but_parked(&world.nats, QUIET_WITHIN).await.err();
    stop(&world, workers).await?;
    let unquiet = unquiet.or(quiet_but_parked(&world.nats, QUIET_WITHIN).await.err());
    let middle = world.books_now().await?;
    let waiting = middle.sums().parked;
    let faults = [
        stuck,
        unquiet,
        shows_nothing(while_parked),
        (waiting == 0).then(|| "nothing was parked when all was quiet: it shows too little".to_owned()),
    ];
    report.row(
        "ordered",
        &format!(
            "{kills} × SIGKILL of either of two{}; {waiting} parked, and nobody works",
            said_once(&world)
        ),
        &middle,
        faults.into_iter().flatten(),
    );

    let workers = [start(&world).await?, start(&world).await?];
    end(report, &world, workers, "the same, until none is parked", []).await
}

/// One worker after the other, each of which is killed at a step; what it has parked is there for the next one.
async fn at_every_step(report: &mut Report, scale: Scale) -> Outcome {
    let kills = scale.times(3, 1);
    let world = World::alone().await?.ordered();
    world.post(DEEP, Kind::in_turns).await?;
    let load = world.load(PER_SECOND, Kind::in_turns);
    for _ in 0..kills {
        for step in STEPS {
            let mut options = options(&world);
            options.death = Some(Death {
                step: step.to_owned(),
                count: 1,
            });
            let mut worker = world.worker(&options).await?;
            worker.dies(DIES_WITHIN).await?;
            world.note(&options.name, What::Dies)?;
        }
    }
    load.stop().await;
    let workers = [start(&world).await?, start(&world).await?];
    let what = format!(
        "{kills} × SIGKILL at each of {} steps of lease and parking",
        STEPS.len()
    );
    end(report, &world, workers, &what, []).await
}

/// The active one stands still for three leases: the other one takes over, and what the first one still runs is late.
async fn stand_still(report: &mut Report, scale: Scale) -> Outcome {
    let stops = scale.times(5, 1);
    let world = World::alone().await?.ordered();
    let (load, workers, stuck) = begin(&world, scale).await?;
    for _ in 0..stops {
        let active = leader(&world, |_| true).await?;
        let found = workers.iter().find(|(name, _)| *name == active);
        let (name, worker) = found.ok_or("a stranger is the active one")?;
        world.note(name, What::Freezing)?;
        worker.freeze()?;
        world.note(name, What::Freezes)?;
        sleep(STANDS_STILL).await;
        leader(&world, |next| next != name).await?;
        // Before it can write anything itself.
        world.note(name, What::Thaws)?;
        worker.thaw()?;
    }
    load.stop().await;
    let what = format!("{stops} × SIGSTOP of the active one for 3 leases");
    end(report, &world, workers, &what, [stuck]).await
}

/// Who is the active one, once it is one of these.
async fn leader(world: &World, is_it: impl Fn(&str) -> bool) -> Result<String, Box<dyn Error>> {
    let deadline = Instant::now() + LEADS_WITHIN;
    loop {
        let lines = world.lines()?;
        let last = lines.iter().rfind(|line| line.what == What::Leads);
        if let Some(line) = last.filter(|line| is_it(&line.worker)) {
            return Ok(line.worker.clone());
        }
        if Instant::now() > deadline {
            return Err(format!("nobody has taken over within {LEADS_WITHIN:?}").into());
        }
        sleep(LOOK).await;
    }
}

/// Whether its workers say besides that each message has one effect.
fn said_once(world: &World) -> &'static str {
    if world.once { ", once each" } else { "" }
}

async fn server_killed(report: &mut Report, world: World, scale: Scale) -> Outcome {
    killed_under(
        report,
        world,
        scale,
        scale.times(40, 2),
        "the server",
        async |world| {
            // So long the load runs between two deaths.
            sleep(Duration::from_millis(fastrand::u64(500..3_000))).await;
            let some_are_parked = !parked(&world.nats).await?.is_empty();
            if let Servers::One(server) = &mut world.servers {
                server.kill()?;
                server.restart()?;
            }
            Ok(some_are_parked)
        },
    )
    .await
}

async fn leader_killed(report: &mut Report, scale: Scale) -> Outcome {
    let world = World::of_three().await?.ordered();
    killed_under(
        report,
        world,
        scale,
        scale.times(20, 1),
        "the leader of three",
        async |world| {
            let some_are_parked = !parked(&world.nats).await?.is_empty();
            cluster::kill_leader(world).await?;
            Ok(some_are_parked)
        },
    )
    .await
}

/// What NATS runs on is killed; `kill` says whether some were parked then.
async fn killed_under(
    report: &mut Report,
    mut world: World,
    scale: Scale,
    kills: u32,
    whom: &str,
    kill: impl AsyncFn(&mut World) -> Result<bool, Box<dyn Error>>,
) -> Outcome {
    let (load, workers, stuck) = begin(&world, scale).await?;
    let mut while_parked = 0;
    for _ in 0..kills {
        while_parked += u32::from(kill(&mut world).await?);
    }
    load.stop().await;
    let what = format!(
        "{kills} × SIGKILL of {whom}{}, {while_parked} while some were parked",
        said_once(&world)
    );
    end(
        report,
        &world,
        workers,
        &what,
        [stuck, shows_nothing(while_parked)],
    )
    .await
}

fn shows_nothing(while_parked: u32) -> Option<String> {
    (while_parked == 0).then(|| "nobody died while messages were parked: it shows nothing".to_owned())
}

/// Waits until a third of the keys has been handled while one was parked.
async fn others_go_on(world: &World) -> Result<Option<String>, Box<dyn Error>> {
    let deadline = Instant::now() + PARKED_WITHIN;
    // Since which line each key is parked.
    let mut since: BTreeMap<String, usize> = BTreeMap::new();
    let mut most = 0;
    while Instant::now() < deadline {
        let lines = world.lines()?;
        let now = parked(&world.nats).await?;
        since.retain(|key, _| now.contains_key(key));
        for (key, from) in &since {
            let well = lines[*from..].iter().filter_map(|line| match line.what {
                What::Ends {
                    number, well: true, ..
                } => Some(key_of(number)),
                _ => None,
            });
            let others: BTreeSet<_> = well.filter(|other| other != key).collect();
            most = most.max(others.len());
        }
        let from = world.lines()?.len();
        for key in now.into_keys() {
            since.entry(key).or_insert(from);
        }
        if most >= KEYS / 3 {
            return Ok(None);
        }
        sleep(LOOK).await;
    }
    Ok(Some(format!(
        "within {PARKED_WITHIN:?} no key was parked while others were handled: at most {most} of {KEYS}"
    )))
}
