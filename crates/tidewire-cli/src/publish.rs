//! `tidewire publish`.

use std::process::ExitCode;

use clap::Args;

use crate::{error::CliError, output::Output, send::SendArgs};

/// Store an event, checked against what services declare
///
/// Writes the envelope, awaits the confirmation of the context's stream, and prints where the event is. Where a service has
/// declared it, key and data are checked first.
#[derive(Clone, Debug, Args)]
pub(crate) struct PublishArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    send: SendArgs,
}

pub(crate) async fn publish(args: PublishArgs, out: Output) -> Result<ExitCode, CliError> {
    let (draft, nats, manifests) = args.send.ready().await?;
    let published = tidewire_ops::publish(&nats, manifests.as_ref(), draft, args.send.timeout).await?;
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
