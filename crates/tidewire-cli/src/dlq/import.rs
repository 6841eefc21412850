//! `tidewire dlq import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use tidewire_ops::Imported;

use super::open;
use crate::{connect::ConnectArgs, error::CliError, output::Output};

/// Store letters again that `tidewire dlq export` wrote
///
/// A letter that is there is left as it is. Of each that is stored it is recorded who did it and from which file. Run again after it was broken off, it brings to an end what it began.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportArgs {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn import(args: ImportArgs, out: Output) -> Result<ExitCode, CliError> {
    let unread = |source| CliError::File {
        path: args.file.clone(),
        source,
    };
    let lines: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(&args.file).map_err(unread)?))
    };
    let from = match args.file.as_os_str().to_string_lossy() {
        name if name == "-" => "standard input".into(),
        name => name,
    };
    let dead = open(&args.connect).await?;
    let (mut stored, mut there) = (0, 0);
    for (number, line) in lines.lines().enumerate() {
        let line = line.map_err(unread)?;
        if line.trim().is_empty() {
            continue;
        }
        match dead.import(&from, number + 1, &line).await? {
            Imported::Stored => stored += 1,
            _ => there += 1,
        }
    }
    out.line(format_args!(
        "stored: {stored}; there before, and left as they were: {there}"
    ))?;
    Ok(ExitCode::SUCCESS)
}
