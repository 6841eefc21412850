//! The rounds: all sides right after each other, and the first of them changing from round to round.

use std::{
    collections::BTreeSet,
    env,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::SystemTime,
};

use clap::Args;
use tidewire::{BoxError, Timestamp};
use tidewire_ops::bench::{self, Workload};
use tidewire_server::Server;
use tokio::runtime::Builder;

use crate::{
    figures,
    goal::GOALS,
    row::{self, Flavor, Machine, Row, Run, Side},
    side::Said,
    traces::Sink,
};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// How many rounds of each workload
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// A twentieth of the messages, to see that it works
    #[arg(long)]
    small: bool,
    /// These workloads alone: live, ask-64, ask-1, publish, consume-1, consume-64, latency
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// These sides alone; otherwise all that the goals compare
    #[arg(long, value_enum, value_delimiter = ',')]
    sides: Vec<Side>,
    /// The tokio runtime of all sides
    #[arg(long, value_enum, default_value_t = Flavor::CurrentThread)]
    runtime: Flavor,
    /// Record each run with `perf`, into a file of this folder
    #[arg(long, value_name = "FOLDER")]
    perf: Option<PathBuf>,
    /// Where the rows go
    #[arg(long, default_value = super::RESULTS)]
    rows: PathBuf,
}

pub(crate) fn run(args: &RunArgs) -> Result<(), BoxError> {
    let (server, sink) = (Server::start()?, Sink::start()?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (nats, version) = runtime.block_on(async {
        let nats = tidewire::connect(server.url()).await?;
        let version = nats.client().server_info().version;
        Ok::<_, BoxError>((nats, version))
    })?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut run = Run {
        machine: Machine {
            processors: std::thread::available_parallelism()?.get(),
            system: format!("{} {}", env::consts::OS, env::consts::ARCH),
            server: version,
            runtime: args.runtime,
            time: Timestamp::from_unix(since).to_string(),
            commit: commit()?,
        },
        rows: Vec::new(),
    };
    for workload in Workload::ALL {
        if !args.only.is_empty() && !args.only.contains(&workload) {
            continue;
        }
        let messages = workload.messages() / if args.small { 20 } else { 1 };
        runtime.block_on(Box::pin(bench::prepare(&nats, workload, messages)))?;
        let mut sides = sides(workload);
        sides.retain(|side| args.sides.is_empty() || args.sides.contains(side));
        for round in 1..=args.rounds {
            sides.rotate_left(1);
            for &side in &sides {
                if workload == Workload::Publish {
                    // Nothing is deleted from an event stream but the whole of it.
                    runtime.block_on(Box::pin(bench::remove(&nats)))?;
                    runtime.block_on(Box::pin(bench::prepare(&nats, workload, messages)))?;
                }
                let Said { measured, usage } = start(args, side, workload, &server.url(), &sink, messages)?;
                run.rows.push(Row {
                    workload,
                    round,
                    side,
                    measured,
                    usage,
                });
            }
            say(format_args!("{workload}: round {round} of {}", args.rounds));
        }
        // After each, so that what was measured is not lost with what comes after it.
        row::write(&args.rows, &run)?;
        runtime.block_on(Box::pin(bench::remove(&nats)))?;
    }
    print!("{}", figures::table(&run));
    Ok(())
}

/// Of the sources here; with `-dirty` where some are changed.
fn commit() -> Result<String, BoxError> {
    let git = |args: &[&str]| -> Result<String, BoxError> {
        let output = Command::new("git").args(args).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("git does not say of which commit the sources are".into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--", "*.rs", "*.toml", "*.lock"])?;
    Ok(if changed.is_empty() {
        commit
    } else {
        commit + "-dirty"
    })
}

/// All whom the goals of a workload compare, as far as this program can be them.
fn sides(workload: Workload) -> Vec<Side> {
    let goals = GOALS.iter().filter(|goal| goal.workload == workload);
    let sides: BTreeSet<_> = goals.flat_map(|goal| goal.sides).collect();
    sides.into_iter().filter(|side| side.is_built()).collect()
}

fn start(
    args: &RunArgs,
    side: Side,
    workload: Workload,
    url: &str,
    sink: &Sink,
    messages: u64,
) -> Result<Said, BoxError> {
    let output = program(args, side, workload)?
        .args(["side", side.name(), workload.name()])
        .args(["--url", url, "--messages", &messages.to_string()])
        .args(["--runtime", args.runtime.name()])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url())
        .envs(side.sampler().map(|sampler| ("OTEL_TRACES_SAMPLER", sampler)))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{} of {workload} failed", side.name()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// This program, or `perf` that runs it: what was recorded in the last round is left.
fn program(args: &RunArgs, side: Side, workload: Workload) -> Result<Command, BoxError> {
    let this = env::current_exe()?;
    let Some(folder) = &args.perf else {
        return Ok(Command::new(this));
    };
    std::fs::create_dir_all(folder)?;
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--freq", "999", "--output"])
        .arg(folder.join(format!("{}-{workload}.data", side.name())))
        .arg("--")
        .arg(this);
    Ok(perf)
}

/// On standard error, where the table is not.
fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
