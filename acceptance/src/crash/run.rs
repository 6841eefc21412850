//! The command line, and the order of the parts.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use tokio::time::timeout;

use crate::{
    parts::{
        abort, batch, cluster, commands, deploys, memory, once, ordered, outage, replay, server, stopped,
        workers,
    },
    report::Report,
    worker,
};

/// The end of a run that hangs where no nearer limit ends it.
const OVERALL: Duration = Duration::from_secs(2 * 3600);
const OVERALL_SMALL: Duration = Duration::from_secs(3600);

/// Kills workers and servers under load, and audits what became of every message.
#[derive(Debug, Parser)]
#[command(name = "crash", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Which parts, in this order; all without any.
    parts: Vec<Part>,
    /// A few per cent of the counts.
    #[arg(long)]
    small: bool,
    /// How many kills, deployments or stops, instead of each part's own number.
    #[arg(long, value_name = "N")]
    times: Option<u32>,
    #[command(subcommand)]
    hidden: Option<Hidden>,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    /// A process that dies.
    #[command(hide = true)]
    Worker { options: String },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// A worker is killed at every step between receipt and ack.
    Workers,
    /// One effect for one message, beyond the duplicate window, whatever is killed or stands still.
    Once,
    /// Jobs of one key one after the other, whoever is killed.
    Ordered,
    /// Jobs are done by durable commands that their handler sends.
    Commands,
    /// Jobs are handled in batches.
    Batch,
    /// Dead letters are given back to their handler, which is killed.
    Replay,
    /// A message aborts the process that handles it.
    Abort,
    /// The one server is killed under load.
    Server,
    /// The leader of three servers is killed under load.
    Cluster,
    /// Rolling deployments over a backlog.
    Deploys,
    /// A worker stands still for longer than its ack wait.
    Stopped,
    /// What a handler depends on is down.
    Outage,
    /// A long backlog behind a slow handler.
    Memory,
}

/// How much of a part is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    small: bool,
    times: Option<u32>,
}

impl Scale {
    /// How often: what the user says, or else the part's own numbers.
    pub(crate) fn times(self, full: u32, small: u32) -> u32 {
        self.times.unwrap_or(self.pick(full, small))
    }

    /// How much, or for how long.
    pub(crate) fn pick<T>(self, full: T, small: T) -> T {
        if self.small { small } else { full }
    }
}

#[expect(clippy::print_stderr, reason = "a program's errors go there")]
pub(crate) async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Hidden::Worker { options }) = &arguments.hidden {
        return match work(options).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let overall = if arguments.small { OVERALL_SMALL } else { OVERALL };
    let mut report = Report::begin();
    if timeout(overall, run_parts(&arguments, &mut report))
        .await
        .is_err()
    {
        report.ended(
            "all",
            Err(format!("not done after {} s", overall.as_secs()).into()),
        );
    }
    report.print_end();
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn work(options: &str) -> Result<(), Box<dyn Error>> {
    worker::run(serde_json::from_str(options)?).await
}

async fn run_parts(arguments: &Arguments, report: &mut Report) {
    let Arguments { small, times, .. } = *arguments;
    let scale = Scale { small, times };
    let parts = match &arguments.parts[..] {
        [] => Part::value_variants(),
        parts => parts,
    };
    for part in parts {
        let (name, outcome) = match part {
            Part::Workers => ("workers", workers::run(report, scale).await),
            Part::Once => ("once", once::run(report, scale).await),
            Part::Ordered => ("ordered", ordered::run(report, scale).await),
            Part::Commands => ("commands", commands::run(report, scale).await),
            Part::Batch => ("batch", batch::run(report, scale).await),
            Part::Replay => ("replay", replay::run(report, scale).await),
            Part::Abort => ("abort", abort::run(report, scale).await),
            Part::Server => ("server", server::run(report, scale).await),
            Part::Cluster => ("cluster", cluster::run(report, scale).await),
            Part::Deploys => ("deploys", deploys::run(report, scale).await),
            Part::Stopped => ("stopped", stopped::run(report, scale).await),
            Part::Outage => ("outage", outage::run(report, scale).await),
            Part::Memory => ("memory", memory::run(report, scale).await),
        };
        report.ended(name, outcome);
    }
}
