//! `tidewire publish`.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use crate::{connect::ConnectArgs, draft::DraftArgs, error::CliError, output::Output, span::span};

/// Store an event, checked against what services declare
///
/// Writes the envelope, awaits the confirmation of the context's stream, and prints where the event is. Where a service has
/// declared it, key and data are checked first.
#[derive(Clone, Debug, Args)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    draft: DraftArgs,
    /// How long the stream's confirmation is awaited, such as 500ms or 2m
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn publish(args: PublishArgs, out: Output) -> Result<ExitCode, CliError> {
    let draft = args.draft.draft()?;
    let nats = args.connect.connect().await?;
    let manifests = args.draft.manifests(&nats).await?;
    let published = tidewire_ops::publish(&nats, manifests.as_ref(), draft, args.timeout).await?;
    if args.json {
        out.json_line(&published)?;
    } else {
        out.line(format_args!(
            "{} is stored in {} at {}  {}",
            published.subject, published.stream, published.sequence, published.id
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
