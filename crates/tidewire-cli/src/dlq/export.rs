//! `tidewire dlq export`.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use tidewire_ops::Selection;

use super::{
    open_to_read,
    select::{SelectArgs, tell_unreadable},
};
use crate::{
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
};

/// Write letters as lines of JSON, each with all of its records
///
/// `tidewire dlq import` stores them again, here or elsewhere, without loss. A body is in `text` where it is UTF-8 and else
/// in `base64`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExportArgs {
    /// Add those that were handled or discarded
    #[arg(long)]
    all: bool,
    /// Write to a file, and not to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn export(args: ExportArgs, out: Output) -> Result<ExitCode, CliError> {
    let unwritten = |path: PathBuf| {
        move |source| CliError::Unwritten {
            path: path.clone(),
            source,
        }
    };
    let mut file = match &args.to {
        Some(path) => Some(BufWriter::new(
            File::create(path).map_err(unwritten(path.clone()))?,
        )),
        None => None,
    };
    let Some(dead) = open_to_read(&args.connect).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let selection = Selection {
        closed: args.all,
        ..args.select.selection()
    };
    let listing = dead.list(&selection).await?;
    tell_unreadable(&listing);
    for letter in &listing.letters {
        let exported = dead.export(letter).await?;
        match (&mut file, &args.to) {
            (Some(file), Some(path)) => {
                let line = serde_json::to_string(&exported)
                    .map_err(|error| CliError::Fault(format!("this cannot be written as JSON: {error}")))?;
                writeln!(file, "{line}").map_err(unwritten(path.clone()))?;
            }
            _ => out.json_line(&exported)?,
        }
    }
    if let (Some(mut file), Some(path)) = (file, args.to) {
        file.flush().map_err(unwritten(path.clone()))?;
        note(format_args!(
            "{} letters are in {}",
            listing.letters.len(),
            path.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
