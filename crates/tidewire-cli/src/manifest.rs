//! `tidewire manifest show` and `tidewire manifest diff`.

mod diff;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::{error::CliError, output::Output};

/// Show what services declare, or compare it with a file
///
/// Each service writes its manifest when it starts, to the bucket `TIDEWIRE_MANIFESTS`.
#[derive(Clone, Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ManifestArgs {
    #[command(subcommand)]
    verb: ManifestVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum ManifestVerb {
    Show(show::ShowArgs),
    Diff(diff::DiffArgs),
}

pub(crate) async fn manifest(args: ManifestArgs, out: Output) -> Result<ExitCode, CliError> {
    match args.verb {
        ManifestVerb::Show(args) => show::show(args, out).await,
        ManifestVerb::Diff(args) => diff::diff(args, out).await,
    }
}

/// A service that has no manifest here.
fn unknown(service: &str) -> CliError {
    CliError::Fault(format!(
        "no manifest of a service `{service}` is here; a service writes it when it starts: see `tidewire manifest show`, \
         and whether this is the right server"
    ))
}
