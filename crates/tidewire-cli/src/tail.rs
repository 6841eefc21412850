//! `tidewire tail`.

use std::process::ExitCode;

use clap::{Args, value_parser};
use tidewire::DecodeError;
use tidewire_ops::{Content, History, Seen, Tail};

use crate::{
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
    shorten::shorten,
};

/// How much of the data a line shows.
const SHOWN: usize = 120;

/// Show messages as they pass
///
/// A line each: time, subject, kind, id, and the beginning of the data. What is in no format that Tidewire knows is shown
/// as raw text. Nothing is acknowledged, and nobody else notices. A filter that begins with a wildcard leaves out subjects
/// that begin with $ or _, which are the server's and inboxes.
#[derive(Clone, Debug, Args)]
pub(crate) struct TailArgs {
    /// The subjects, such as orders.payments.> (a shell may want quotes)
    filter: String,
    /// Begin with everything that streams still have
    #[arg(long, conflicts_with = "last")]
    from_start: bool,
    /// Begin with the newest N messages that streams have
    #[arg(long, value_name = "N")]
    last: Option<u64>,
    /// End after N messages
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print a JSON object for each message, with all its data and headers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn tail(args: TailArgs, out: Output) -> Result<ExitCode, CliError> {
    let nats = args.connect.connect().await?;
    let history = match args.last {
        Some(count) => History::Last(count),
        None if args.from_start => History::All,
        None => History::Nothing,
    };
    let mut tail = Tail::open(&nats, &args.filter, history).await?;
    note(format!("listening to {}", args.filter));
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(seen) = tail.next().await? else {
            return Err(CliError::Fault(
                "the connection is closed; see that the server runs, and tail again".into(),
            ));
        };
        if args.json {
            out.json_line(&seen)?;
        } else {
            out.line(line(&seen))?;
        }
        left -= 1;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(seen: &Seen) -> String {
    let (what, data) = match &seen.content {
        Content::Known(parsed) => (
            format!("{} {}", parsed.kind, parsed.id),
            shorten(parsed.data.get(), SHOWN),
        ),
        Content::Raw(payload) => ("raw".into(), shorten(&String::from_utf8_lossy(payload), SHOWN)),
        _ => ("of a new kind".into(), String::new()),
    };
    // To the millisecond: 2026-03-20T10:00:00.123Z.
    let time = seen.time.to_string();
    let time = time.get(..23).unwrap_or(&time);
    let problem = match &seen.problem {
        // That is what raw means.
        None | Some(DecodeError::Malformed(_)) => String::new(),
        Some(problem) => format!("  ({problem})"),
    };
    format!("{time}Z  {}  {what}  {data}{problem}", seen.subject)
}
