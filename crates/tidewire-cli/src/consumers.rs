//! `tidewire consumers`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tidewire::{Connection, Timestamp};
use tidewire_ops::{ConsumerState, Consumers, Instance, OpsError, Scope, Unanswered, instances};
use tokio::time::sleep;

use crate::{
    connect::ConnectArgs,
    error::CliError,
    figures::time,
    lag::{tell_unanswered, unknown},
    output::{Output, note},
    table::table,
    watch::{WatchArgs, until_asked},
};

/// Show how each durable's consumers are set up, and where they are
///
/// FLOOR is the sequence up to which everything is settled, and LAST the newest message that was delivered. PINNED is the
/// client that a durable which is ordered by key is served by. INSTANCES counts the instances of the service that answer.
/// Those for which most waits come first. Exits with 1 where a stream or consumer does not answer.
///
/// For example `tidewire consumers payments`, or `tidewire consumers ORDERS__PAYMENTS --foreign`.
#[derive(Clone, Debug, Args)]
#[command(after_help = FIELDS)]
pub(crate) struct ConsumersArgs {
    /// Of this service, or on this stream
    #[arg(value_name = "SERVICE|STREAM")]
    name: Option<String>,
    /// Add consumers that are not Tidewire's
    #[arg(long)]
    foreign: bool,
    #[command(flatten)]
    watch: WatchArgs,
    /// Print a JSON object for each look
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

const FIELDS: &str = "\
JSON: time; consumers, each with stream, consumer, service, durable, replays, filters, ack, ack_wait_seconds,
max_ack_pending, max_deliver, push, ordered_by_key, created, ack_floor, delivered, deliveries, pending, unacknowledged,
redelivered, parked, waiting_pulls, paused, pause_remaining_seconds, pinned_client, time, instances (the ids of those that
answer); unanswered, each with stream and consumer. What is not known or not there is null.";

/// One look.
#[derive(Serialize)]
struct View {
    time: Timestamp,
    consumers: Vec<Row>,
    unanswered: Vec<Unanswered>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    state: ConsumerState,
    /// `None` where it is not known who runs.
    instances: Option<Vec<String>>,
}

pub(crate) async fn consumers(args: ConsumersArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let scope = Scope {
        service: None,
        foreign: args.foreign,
    };
    let looking = async {
        let mut well = true;
        for look in 0..args.watch.looks() {
            if let (1.., Some(pause)) = (look, args.watch.every()) {
                sleep(pause).await;
            }
            let view = Box::pin(View::read(&nats, &scope, args.name.as_deref())).await?;
            well = tell_unanswered(&view.unanswered);
            if args.json {
                out.json_line(&view)?;
            }
            if let (true, true, Some(name)) = (well, view.consumers.is_empty(), &args.name) {
                return Err(unknown(name));
            }
            if !args.json {
                if look > 0 {
                    out.redraw()?;
                }
                lines(&view).iter().try_for_each(|line| out.line(line))?;
            }
        }
        Ok(well)
    };
    Ok(match until_asked(looking).await? {
        Some(false) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

impl View {
    async fn read(nats: &Connection, scope: &Scope, name: Option<&str>) -> Result<Self, CliError> {
        let running = match instances(nats).await {
            Ok(running) => Some(running),
            Err(error @ OpsError::NotPermitted(_)) => {
                note(format_args!("who runs is not known: {error}"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let read = Consumers::read(nats, scope).await?;
        let means = |state: &ConsumerState| {
            name.is_none_or(|name| state.stream == name || state.service.as_deref() == Some(name))
        };
        let mut consumers: Vec<_> = read
            .consumers
            .into_iter()
            .filter(means)
            .map(|state| Row {
                instances: running.as_deref().map(|running| of_service(running, &state)),
                state,
            })
            .collect();
        let waits = |row: &Row| row.state.waiting() + row.state.parked;
        consumers.sort_by_key(|row| std::cmp::Reverse(waits(row)));
        Ok(Self {
            time: read.time,
            consumers,
            unanswered: read.unanswered,
        })
    }
}

fn of_service(running: &[Instance], state: &ConsumerState) -> Vec<String> {
    let ours = running
        .iter()
        .filter(|instance| Some(&instance.name) == state.service.as_ref());
    ours.map(|instance| instance.id.clone()).collect()
}

fn lines(view: &View) -> Vec<String> {
    if view.consumers.is_empty() {
        return vec!["no durable has a consumer here".into()];
    }
    let head = [
        "HANDLER",
        "STREAM",
        "ACK WAIT",
        "MOST UNACKED",
        "FLOOR",
        "LAST",
        "PENDING",
        "UNACKED",
        "PINNED",
        "INSTANCES",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(view.consumers.iter().map(cells));
    let mut rows = table(&rows).into_iter();
    let mut lines: Vec<_> = rows.next().into_iter().collect();
    for (row, Row { state, .. }) in rows.zip(&view.consumers) {
        lines.push(row);
        let filters = match state.filters.as_slice() {
            [] => "everything".to_owned(),
            filters => filters.join(", "),
        };
        let replays = if state.replays { ", which are replays" } else { "" };
        let parked = match state.parked {
            0 => String::new(),
            count => format!("; {count} are parked"),
        };
        let paused = match state.pause_remaining_seconds {
            Some(left) => format!("; PAUSED for {} more", time(left)),
            None if state.paused => "; PAUSED".to_owned(),
            None => String::new(),
        };
        lines.push(format!("          reads {filters}{replays}{parked}{paused}"));
    }
    lines
}

fn cells(row: &Row) -> Vec<String> {
    let Row { state, instances } = row;
    let dash = || "-".to_owned();
    vec![
        state.consumer.clone(),
        state.stream.clone(),
        time(state.ack_wait_seconds),
        state.max_ack_pending.map_or_else(dash, |most| most.to_string()),
        state.ack_floor.to_string(),
        state.delivered.to_string(),
        state.pending.to_string(),
        state.unacknowledged.to_string(),
        state.pinned_client.clone().unwrap_or_else(dash),
        instances
            .as_ref()
            .filter(|_| state.service.is_some())
            .map_or_else(dash, |found| found.len().to_string()),
    ]
}
