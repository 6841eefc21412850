//! `tidewire dlq`.

mod discard;
mod edit;
mod export;
mod import;
mod ls;
mod moment;
mod replay;
mod select;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tidewire_ops::{DeadLetters, LetterError, Listed, OpsError};

use crate::{
    actor::actor,
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
    shorten::shorten,
};

/// Look at what could not be handled, give it back, change it, give it up
///
/// Dead letters are in a stream of their own, whole. Whatever is done about one is recorded there with who did it, and is
/// done once, however often it is run and by how many.
#[derive(Clone, Debug, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    verb: DlqVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum DlqVerb {
    Ls(ls::LsArgs),
    Show(show::ShowArgs),
    Replay(replay::ReplayArgs),
    Edit(edit::EditArgs),
    Discard(discard::DiscardArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
}

pub(crate) async fn dlq(args: DlqArgs, out: Output) -> Result<ExitCode, CliError> {
    match args.verb {
        DlqVerb::Ls(args) => ls::ls(args, out).await,
        DlqVerb::Show(args) => show::show(args, out).await,
        DlqVerb::Replay(args) => replay::replay(args, out).await,
        DlqVerb::Edit(args) => edit::edit(args, out).await,
        DlqVerb::Export(args) => export::export(args, out).await,
        DlqVerb::Import(args) => import::import(args, out).await,
        DlqVerb::Discard(args) => discard::discard(args, out).await,
    }
}

/// How many letters are shown before something is done to them all.
const SHOWN: usize = 10;
/// How much of an error a line shows.
const ERROR: usize = 100;

async fn open(connect: &ConnectArgs) -> Result<DeadLetters, CliError> {
    let nats = connect.connect().await?;
    Ok(DeadLetters::open(&nats, actor()).await?)
}

/// The same, but for who only looks: where no service has made the stream, there is nothing, and all is well.
async fn open_to_read(connect: &ConnectArgs) -> Result<Option<DeadLetters>, CliError> {
    match open(connect).await {
        Ok(letters) => Ok(Some(letters)),
        Err(CliError::Ops(OpsError::Letter(LetterError::NoStream))) => {
            note(LetterError::NoStream);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Shows what something is about to be done to.
fn announce(out: &Output, letters: &[Listed], what: &str) -> Result<(), CliError> {
    let count = match letters.len() {
        1 => "1 letter".into(),
        count => format!("{count} letters, each"),
    };
    out.line(format_args!("{count} to be {what}"))?;
    for letter in letters.iter().take(SHOWN) {
        out.line(format_args!("  {}", short(letter)))?;
    }
    match letters.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => out.line(format_args!("  and {more} more")),
    }
}

/// A letter on a line.
fn short(letter: &Listed) -> String {
    format!(
        "{}  {}__{}  {}  {}: {}",
        letter.letter,
        letter.service,
        letter.durable,
        letter.subject,
        letter.class,
        shorten(&letter.error, ERROR)
    )
}
