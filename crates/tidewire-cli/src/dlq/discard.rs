//! `tidewire dlq discard`.

use std::process::ExitCode;

use clap::{Args, builder::NonEmptyStringValueParser};

use super::select::ActArgs;
use crate::{
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
    act: ActArgs,
}

pub(super) async fn discard(args: DiscardArgs, out: Output) -> Result<ExitCode, CliError> {
    if args.reason.trim().is_empty() {
        return Err(CliError::Usage("say why: --reason has no text".into()));
    }
    let json = args.act.json;
    let Some((dead, letters)) = args.act.letters(&out, "discarded").await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let (mut now, mut before, mut failed) = (0, 0, 0);
    for letter in &letters {
        match dead.discard(letter, &args.reason).await {
            Ok(discarded) => {
                if json {
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
    if !json {
        let also = match before {
            0 => String::new(),
            count => format!(", {count} were before"),
        };
        out.line(format_args!("{now} discarded{also}"))?;
    }
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        count => Err(CliError::Fault(format!(
            "{count} not discarded; do as is said above for each"
        ))),
    }
}
