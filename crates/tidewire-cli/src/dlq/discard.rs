//! `tidewire dlq discard`.

use std::process::ExitCode;

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{announce, open, select::ChosenArgs};
use crate::{
    ask::{AskArgs, may_go_on},
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
};

/// Give letters up, for a reason that is recorded
///
/// The message stays in the stream of dead letters; it is no longer listed and no longer replayed with others.
#[derive(Clone, Debug, Args)]
pub(super) struct DiscardArgs {
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    #[command(flatten)]
    ask: AskArgs,
    /// Print JSON: an object for each letter
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chosen: ChosenArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn discard(args: DiscardArgs, out: Output) -> Result<ExitCode, CliError> {
    if args.reason.trim().is_empty() {
        return Err(CliError::Usage("say why: --reason has no text".into()));
    }
    let dead = open(&args.connect).await?;
    let letters = args.chosen.letters(&dead).await?;
    if !args.json {
        announce(&out, &letters, "discarded")?;
    }
    if letters.is_empty() || !may_go_on(args.ask)? {
        return Ok(ExitCode::SUCCESS);
    }
    let (mut now, mut before, mut failed) = (0, 0, 0);
    for letter in &letters {
        match dead.discard(letter, &args.reason).await {
            Ok(discarded) => {
                if args.json {
                    out.json_line(&discarded)?;
                }
                *(if discarded.before { &mut before } else { &mut now }) += 1;
            }
            Err(error) => {
                failed += 1;
                note(error);
            }
        }
    }
    if !args.json {
        let also = match before {
            0 => String::new(),
            count => format!(", {count} were before"),
        };
        out.line(format_args!("{now} discarded{also}"))?;
    }
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        count => Err(CliError::Fault(format!("{count} not discarded, as said above"))),
    }
}
