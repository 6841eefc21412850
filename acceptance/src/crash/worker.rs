//! The process that dies: a service with one durable, or two, run by the hidden command `crash worker`.

mod noted;

use std::{
    error::Error,
    io::{self, Read as _},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tidewire::{Connection, Durable, async_nats::jetstream::message::PublishMessage, prelude::*};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    connecting::connected,
    hook::{Death, Hook},
    jobs::{BY_ORDER, DURABLE, DoJob, FORGETS, JobDone, JobPosted, Kind, SERVICE, Way},
    ledger::Ledger,
};
use noted::Noted;

/// Longer than a message that failed is held in hand: it is parked, and what follows it in its key.
const LATE: Duration = Duration::from_secs(11);

/// Between two looks whether jobs are held.
const LOOK: Duration = Duration::from_millis(10);

/// How many events a batch has at most, and how long they are gathered.
const BATCH: usize = 20;
const GATHERS: Duration = Duration::from_millis(20);

/// What one worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) name: String,
    /// Where every run is written down, before it begins and when it has ended.
    pub(crate) runs: PathBuf,
    /// While this file is there the gateway is down.
    pub(crate) gateway: Option<PathBuf>,
    /// While this file is there no job is done.
    pub(crate) held: Option<PathBuf>,
    /// While this file is there jobs of the kind [`Kind::Mend`] succeed.
    pub(crate) mended: PathBuf,
    pub(crate) way: Way,
    pub(crate) death: Option<Death>,
    pub(crate) replicas: usize,
    /// One effect for one message, though the stream of the effects forgets ids after a tenth of a second.
    pub(crate) once: bool,
    /// The data of every effect are stored beside it, as those of a large one.
    pub(crate) claims: bool,
    /// Jobs of one key one after the other.
    pub(crate) ordered: bool,
    pub(crate) concurrency: usize,
    pub(crate) attempts: u32,
    pub(crate) ack_wait: Duration,
    /// How long a job takes.
    pub(crate) takes: Duration,
    /// How long a job of the kind [`Kind::Hang`] takes.
    pub(crate) hangs: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("a rule discards this")]
struct Unwanted;

/// What the handlers need.
#[derive(Clone, Debug)]
struct Bench {
    options: Arc<Options>,
    nats: Connection,
}

async fn work(
    State(bench): State<Bench>,
    done: Emit<JobDone>,
    Attempt(attempt): Attempt,
    Event(JobPosted { job, .. }): Event<JobPosted>,
) -> Result<(), Failure> {
    try_to(kind_of(&job)?, attempt, &bench).await?;
    done.emit(JobDone { job, attempt });
    Ok(())
}

async fn order(
    State(bench): State<Bench>,
    orders: Dispatch<DoJob>,
    Attempt(attempt): Attempt,
    Event(JobPosted { job, .. }): Event<JobPosted>,
) -> Result<(), Failure> {
    try_to(kind_of(&job)?, attempt, &bench).await?;
    orders.dispatch(DoJob { job });
    Ok(())
}

/// One in a few orders fails at first, as its job did.
async fn do_ordered(
    done: Emit<JobDone>,
    Attempt(attempt): Attempt,
    Command(DoJob { job }): Command<DoJob>,
) -> Result<(), Failure> {
    if kind_of(&job)? == Kind::Once && attempt == 1 {
        Err("the first attempt fails").or_retry()?;
    }
    done.emit(JobDone { job, attempt });
    Ok(())
}

/// A batch does not know its attempts: beside others, those fail whose first attempt is to.
async fn work_in_batch(
    State(bench): State<Bench>,
    Batch(jobs): Batch<JobPosted>,
) -> Vec<Result<(), Failure>> {
    let attempt = if jobs.len() > 1 { 1 } else { 2 };
    let each = jobs.iter().map(|JobPosted { job, .. }| async {
        try_to(kind_of(job)?, attempt, &bench).await?;
        store(&bench.nats, job).await
    });
    join_all(each).await
}

/// A batch emits nothing; what it does itself it must do so that twice is once.
async fn store(nats: &Connection, job: &str) -> Result<(), Failure> {
    let subject = format!("crash.results.job.done.{job}");
    let effect = PublishMessage::build()
        .message_id(job)
        .payload(job.to_owned().into());
    let published = nats.jetstream().send_publish(subject, effect).await;
    published.or_retry()?.await.or_retry()?;
    Ok(())
}

fn kind_of(job: &str) -> Result<Kind, Failure> {
    let (kind, _) = Kind::of(job).ok_or("no job of ours").or_reject()?;
    Ok(kind)
}

async fn try_to(kind: Kind, attempt: u32, bench: &Bench) -> Result<(), Failure> {
    if bench
        .options
        .gateway
        .as_ref()
        .is_some_and(|gateway| gateway.exists())
    {
        Err("the gateway is down").or_unavailable()?;
    }
    sleep(bench.options.takes).await;
    while bench.options.held.as_ref().is_some_and(|held| held.exists()) {
        sleep(LOOK).await;
    }
    match kind {
        Kind::Once | Kind::Late if attempt == 1 => Err("the first attempt fails").or_retry()?,
        Kind::Late if attempt == 2 => Err("the second attempt fails").or_retry_after(LATE)?,
        Kind::Never => Err("it always fails").or_retry()?,
        Kind::Reject => Err("it is not wanted").or_reject()?,
        Kind::Mend if !bench.options.mended.exists() => Err("it is not mended yet").or_reject()?,
        Kind::Discard => Err(Unwanted).or_retry()?,
        Kind::Abort => std::process::abort(),
        Kind::Hang => sleep(bench.options.hangs).await,
        Kind::Fine | Kind::Once | Kind::Late | Kind::Mend => {}
    }
    Ok(())
}

/// Works until SIGTERM, or until whoever started it is gone.
#[expect(clippy::print_stdout, reason = "who started it waits for this line")]
pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let ledger = Ledger::open(&options.runs)?;
    let noted = Noted {
        ledger: ledger.clone(),
        worker: options.name.clone(),
    };
    let leads = options.ordered.then(|| (options.name.clone(), ledger));
    tracing::subscriber::set_global_default(Hook::new(options.death.clone(), leads))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let context = Context::new("crash.results").replicas(options.replicas);
    let context = if options.once {
        context.duplicate_window(FORGETS)
    } else {
        context
    };
    let nats = connected(&options.url).await?;
    let options = Arc::new(options);
    let service = Service::new(SERVICE, env!("CARGO_PKG_VERSION"))
        .state(Bench {
            options: options.clone(),
            nats: nats.clone(),
        })
        .context(context);
    let service = match options.way {
        Way::Alone => service.on(as_told(durable(DURABLE, work), &options, noted)),
        Way::Batches => {
            let handler = as_told(durable(DURABLE, work_in_batch), &options, noted);
            service.publishes::<JobDone>().on_batch(BATCH, GATHERS, handler)
        }
        Way::ByOrder => service
            .on(as_told(durable(DURABLE, order), &options, noted.clone()))
            .on(as_told(durable(BY_ORDER, do_ordered), &options, noted)),
    };
    let service = if options.claims {
        // Every effect has more than one byte.
        service.claim_check_above(1)
    } else {
        service
    };
    let running = service.start(nats).await?;
    println!("ready");
    let alone = CancellationToken::new();
    let orphaned = alone.clone();
    // A thread of its own: the runtime would wait for a read of its own at the end.
    thread::spawn(move || {
        // It reads nothing: what started this keeps the other end open as long as it lives.
        let _ = io::stdin().read(&mut [0]);
        orphaned.cancel();
    });
    tokio::select! {
        _ = terminate.recv() => {}
        () = alone.cancelled() => {}
        closed = running.connection_closed() => return Err(closed.into()),
    }
    running.stop().await?;
    Ok(())
}

fn as_told<H, T>(durable: Durable<H, T>, options: &Options, noted: Noted) -> Durable<H, T> {
    let durable = durable
        .concurrency(options.concurrency)
        .ack_wait(options.ack_wait)
        .retry(Retry::fixed(Duration::from_millis(100)).max_attempts(options.attempts))
        .on_error::<Unwanted>(Then::Discard)
        .layer(noted);
    let durable = if options.once {
        durable.effectively_once()
    } else {
        durable
    };
    if options.ordered {
        durable.ordered_by_key()
    } else {
        durable
    }
}
