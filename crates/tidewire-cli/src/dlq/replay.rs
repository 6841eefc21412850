//! `tidewire dlq replay`.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tidewire_ops::{Replay, ReplayEnd};

use super::select::ActArgs;
use crate::{error::CliError, output::Output, span::span};

/// Give letters back to the handler that failed on them
///
/// The handler alone hears each again, in the order of their messages; of one key the next goes when the one before is
/// answered. A letter is sent once, however often this is run: what is on its way is awaited, and what was handled is left
/// alone. Exits with 1 where one was not handled.
#[derive(Clone, Debug, Args)]
pub(super) struct ReplayArgs {
    /// Publish each message to its own subject again, for every reader of it; its envelope keeps its id
    #[arg(long)]
    to_subject: bool,
    /// At most N a second
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How long a handler may take for one letter, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    timeout: Duration,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn replay(args: ReplayArgs, out: Output) -> Result<ExitCode, CliError> {
    let json = args.act.json;
    let what = if args.to_subject {
        "published to its subject again"
    } else {
        "given back to the handler that failed"
    };
    let Some((dead, letters)) = args.act.letters(&out, what).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let how = Replay {
        to_subject: args.to_subject,
        rate: args.rate,
        within: args.timeout,
    };
    let bar = bar(letters.len() as u64);
    let (mut good, mut all) = (0, 0);
    let mut printed = Ok(());
    let replaying = dead.replay(letters, how, |replayed| {
        all += 1;
        good += usize::from(replayed.end.is_good());
        bar.inc(1);
        let line = || match replayed.end {
            _ if json => out.json_line(replayed),
            // The many that went well are a number.
            ReplayEnd::Handled => Ok(()),
            _ => out.line(format_args!("{}  {}", replayed.letter, replayed.end)),
        };
        if printed.is_ok() {
            printed = bar.suspend(line);
        }
    });
    let replayed = replaying.await;
    bar.finish_and_clear();
    replayed?;
    printed?;
    if !json {
        out.line(format_args!("{good} of {all} are done"))?;
    }
    Ok(if good == all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A bar on standard error where that is a terminal, and nothing elsewhere.
fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate >= 0.001);
    rate.ok_or_else(|| "write a number of letters a second, such as 10 or 0.5".into())
}
