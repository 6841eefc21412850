//! The process that dies: a service with one durable, run by the hidden command `crash worker`.

use std::{
    error::Error,
    io::{self, Read as _},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tidewire::prelude::*;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    hook::{Death, Hook},
    jobs::{DURABLE, FORGETS, JobDone, JobPosted, Kind, SERVICE},
    ledger::{Ledger, What},
};

/// Longer than a message that failed is held in hand: it is parked, and what follows it in its key.
const LATE: Duration = Duration::from_secs(11);

/// What one worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) name: String,
    /// Where every run is written down before it begins; none where there are too many.
    pub(crate) runs: Option<PathBuf>,
    /// While this file is there the gateway is down.
    pub(crate) gateway: Option<PathBuf>,
    pub(crate) death: Option<Death>,
    pub(crate) replicas: usize,
    /// One effect for one message, though the stream of the effects forgets ids after a tenth of a second.
    pub(crate) once: bool,
    /// The data of every effect are stored beside it, as those of a large one.
    pub(crate) claims: bool,
    /// Jobs of one key one after the other; when they end is written down too.
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

/// What the handler needs.
#[derive(Clone, Debug)]
struct Bench {
    options: Arc<Options>,
    runs: Option<Ledger>,
}

impl Bench {
    fn note(&self, what: What) -> Result<(), Failure> {
        match &self.runs {
            Some(ledger) => ledger.note(&self.options.name, what).or_retry(),
            None => Ok(()),
        }
    }
}

async fn work(
    State(bench): State<Bench>,
    done: Emit<JobDone>,
    Attempt(attempt): Attempt,
    Event(JobPosted { job, .. }): Event<JobPosted>,
) -> Result<(), Failure> {
    let (kind, number) = Kind::of(&job).ok_or("no job of ours").or_reject()?;
    bench.note(What::Begins { number, attempt })?;
    let outcome = try_to(kind, attempt, &bench).await;
    if bench.options.ordered {
        let well = outcome.is_ok();
        bench.note(What::Ends { number, well })?;
    }
    outcome?;
    done.emit(JobDone { job, attempt });
    Ok(())
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
    match kind {
        Kind::Once | Kind::Late if attempt == 1 => Err("the first attempt fails").or_retry()?,
        Kind::Late if attempt == 2 => Err("the second attempt fails").or_retry_after(LATE)?,
        Kind::Never => Err("it always fails").or_retry()?,
        Kind::Reject => Err("it is not wanted").or_reject()?,
        Kind::Discard => Err(Unwanted).or_retry()?,
        Kind::Abort => std::process::abort(),
        Kind::Hang => sleep(bench.options.hangs).await,
        Kind::Fine | Kind::Once | Kind::Late => {}
    }
    Ok(())
}

/// Works until SIGTERM, or until whoever started it is gone.
#[expect(clippy::print_stdout, reason = "who started it waits for this line")]
pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let runs = options.runs.as_deref().map(Ledger::open).transpose()?;
    let ledger = runs.clone().filter(|_| options.ordered);
    let ledger = ledger.map(|ledger| (options.name.clone(), ledger));
    tracing::subscriber::set_global_default(Hook::new(options.death.clone(), ledger))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let durable = durable(DURABLE, work)
        .concurrency(options.concurrency)
        .ack_wait(options.ack_wait)
        .retry(Retry::fixed(Duration::from_millis(100)).max_attempts(options.attempts))
        .on_error::<Unwanted>(Then::Discard);
    let durable = if options.ordered {
        durable.ordered_by_key()
    } else {
        durable
    };
    let context = Context::new("crash.results").replicas(options.replicas);
    let (durable, context) = if options.once {
        (durable.effectively_once(), context.duplicate_window(FORGETS))
    } else {
        (durable, context)
    };
    let options = Arc::new(options);
    let service = Service::new(SERVICE, env!("CARGO_PKG_VERSION"))
        .state(Bench {
            options: options.clone(),
            runs,
        })
        .context(context)
        .on(durable);
    let service = if options.claims {
        // Every effect has more than one byte.
        service.claim_check_above(1)
    } else {
        service
    };
    let running = service.start(tidewire::connect(&options.url).await?).await?;
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
