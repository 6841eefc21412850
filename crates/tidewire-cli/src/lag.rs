//! `tidewire lag`.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use tidewire_ops::{ConsumerLag, Consumers, Drain, Lag, Scope, Unanswered};
use tokio::time::sleep;

use crate::{
    connect::ConnectArgs,
    error::CliError,
    figures::{rate, time},
    output::{Output, note},
    span::span,
    table::table,
    watch::{WatchArgs, until_asked},
};

/// Show what waits for each durable, how old it is, and when it will be done
///
/// A line for each stream that a durable reads. UNACKED is what was delivered and is not settled: in hand, or waiting for
/// another attempt; REDELIVERED counts those of them that came more than once. PULLS are the requests for messages that
/// wait at the server, 0 where nobody pulls. OLDEST is the age of the first message that is not settled. Rates are measured
/// over an interval between two looks. The worst come first: those that do not drain, then those whose oldest message is
/// the oldest. A line says `replays` where dead letters wait to be handled again: they have their own consumer and their
/// own pace, so they are in no other line, and where none waits there is no such line. Exits with 1 where a stream or
/// consumer does not answer.
///
/// For example `tidewire lag payments --watch=5`, or `tidewire lag --json | jq '.consumers[0]'`.
#[derive(Clone, Debug, Args)]
#[command(after_help = FIELDS)]
pub(crate) struct LagArgs {
    /// Of this service
    service: Option<String>,
    /// Add consumers that are not Tidewire's
    #[arg(long, conflicts_with = "service")]
    foreign: bool,
    /// Over how long rates are measured, such as 500ms or 10s; with --watch it is from look to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span, conflicts_with = "watch")]
    interval: Duration,
    #[command(flatten)]
    watch: WatchArgs,
    /// Print a JSON object for each look
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

const FIELDS: &str = "\
JSON: time; consumers, each with stream, consumer, service, durable, replays, pending, unacknowledged, redelivered, parked,
waiting_pulls, paused, oldest_seconds, measured_seconds, in_per_second, out_per_second, drain (empty, draining, never or
unknown), drain_seconds; unanswered, each with stream and consumer. What is not known or not there is null.";

pub(crate) async fn lag(args: LagArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let scope = Scope {
        service: args.service.clone(),
        foreign: args.foreign,
    };
    let looking = async {
        let mut before = Consumers::read(&nats, &scope).await?;
        let mut well = true;
        for look in 0..args.watch.looks() {
            sleep(args.watch.every().unwrap_or(args.interval)).await;
            let after = Consumers::read(&nats, &scope).await?;
            let lag = Lag::between(&nats, &before, &after).await?;
            well = tell_unanswered(&lag.unanswered);
            if args.json {
                out.json_line(&lag)?;
            }
            if let (true, true, Some(name)) = (well, lag.consumers.is_empty(), &args.service) {
                return Err(unknown(name));
            }
            if !args.json {
                if look > 0 {
                    out.redraw()?;
                }
                show(&lag, &out)?;
            }
            before = after;
        }
        Ok(well)
    };
    Ok(match until_asked(looking).await? {
        Some(false) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// Nothing of this name has a consumer.
pub(crate) fn unknown(name: &str) -> CliError {
    CliError::Fault(format!(
        "`{name}` has no consumer here; see `tidewire consumers`, and whether this is the right server"
    ))
}

/// Names what did not answer; whether everything did.
pub(crate) fn tell_unanswered(unanswered: &[Unanswered]) -> bool {
    for one in unanswered {
        let what = match &one.consumer {
            Some(consumer) => format!("the consumer {consumer} of the stream {}", one.stream),
            None => format!("the stream {}", one.stream),
        };
        note(format_args!(
            "{what} does not answer: it has no leader, or its server is away; see that its servers run"
        ));
    }
    unanswered.is_empty()
}

fn show(lag: &Lag, out: &Output) -> Result<(), CliError> {
    let shown: Vec<_> = lag
        .consumers
        .iter()
        .filter(|one| !one.replays || !one.is_empty())
        .collect();
    if shown.is_empty() {
        return out.line("no durable has a consumer here");
    }
    let parked = shown.iter().any(|one| one.parked > 0);
    let head = [
        "HANDLER",
        "STREAM",
        "PENDING",
        "UNACKED",
        "REDELIVERED",
        "PARKED",
        "PULLS",
        "OLDEST",
        "IN/S",
        "OUT/S",
        "DRAINED IN",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(shown.into_iter().map(cells));
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let cells = row.into_iter().enumerate();
            cells
                .filter(|(column, _)| parked || head[*column] != "PARKED")
                .map(|(_, cell)| cell)
                .collect()
        })
        .collect();
    table(&rows).iter().try_for_each(|line| out.line(line))
}

fn cells(lag: &ConsumerLag) -> [String; 11] {
    let dash = || "-".to_owned();
    let replays = if lag.replays { ", replays" } else { "" };
    let drain = match lag.drain {
        Drain::Empty => "empty".to_owned(),
        Drain::Never => "never".to_owned(),
        _ => lag.drain_seconds.map_or_else(dash, time),
    };
    let paused = if lag.paused { ", paused" } else { "" };
    [
        format!("{}{replays}", lag.consumer),
        lag.stream.clone(),
        lag.pending.to_string(),
        lag.unacknowledged.to_string(),
        lag.redelivered.to_string(),
        lag.parked.to_string(),
        lag.waiting_pulls.to_string(),
        lag.oldest_seconds.map_or_else(dash, time),
        lag.in_per_second.map_or_else(dash, rate),
        lag.out_per_second.map_or_else(dash, rate),
        format!("{drain}{paused}"),
    ]
}
