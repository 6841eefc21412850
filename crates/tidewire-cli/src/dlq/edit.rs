//! `tidewire dlq edit`.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Args;
use tidewire_ops::{DeadLetters, Edit, Listed};

use super::{
    open,
    select::{named, unknown},
};
use crate::{connect::ConnectArgs, error::CliError, output::Output, pretty::pretty};

/// Change the payload of an open letter
///
/// Opens it in $VISUAL or $EDITOR, or takes a patch or another payload from a file. The new message is stored behind the
/// old one, which stays; headers stay as they are. Where nothing changed, nothing is stored.
#[derive(Clone, Debug, Args)]
pub(super) struct EditArgs {
    /// A letter, as `tidewire dlq ls --letters` names it
    letter: String,
    /// A file with a JSON Patch (RFC 6902)
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    patch: Option<PathBuf>,
    /// A file with the whole new payload
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn edit(args: EditArgs, out: Output) -> Result<ExitCode, CliError> {
    let dead = open(&args.connect).await?;
    let listed = one(&dead, &args.letter).await?;
    let letter = dead.read(&listed).await?;
    let change = match (&args.patch, &args.set) {
        (Some(patch), _) => Edit::Patch(fs::read_to_string(patch).map_err(unreadable(patch))?),
        (_, Some(payload)) => Edit::Payload(fs::read(payload).map_err(unreadable(payload))?.into()),
        (None, None) => {
            let message = letter.message().ok_or_else(|| unknown(&args.letter))?;
            Edit::Payload(by_hand(&message.payload)?.into())
        }
    };
    let edited = dead.edit(&letter, &change).await?;
    if args.json {
        out.json_line(&edited)?;
    } else if edited.changed {
        out.line(format_args!(
            "{} has a new message; `tidewire dlq replay {}` gives it to its handler",
            edited.letter, edited.letter
        ))?;
    } else {
        out.line(format_args!("{} is as it was: nothing changed", edited.letter))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn one(dead: &DeadLetters, what: &str) -> Result<Listed, CliError> {
    let selection = named(what)?;
    if selection.letter.is_none() {
        return Err(CliError::Usage(format!(
            "`{what}` is a group; edit a letter, as `tidewire dlq ls --letters --group {what}` names them"
        )));
    }
    let listing = dead.list(&selection).await?;
    listing.letters.into_iter().next().ok_or_else(|| unknown(what))
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    move |source| CliError::File {
        path: path.to_owned(),
        source,
    }
}

const NO_ROOM: &str = "let $TMPDIR name a folder that may be written and has room";

/// What somebody makes of a payload in an editor; the payload itself where they leave it.
fn by_hand(payload: &[u8]) -> Result<Vec<u8>, CliError> {
    let text = std::str::from_utf8(payload).map_err(|_| {
        CliError::Usage("the payload is no text, so no editor shows it; give another by --set FILE".into())
    })?;
    let is_json = is_json(text);
    let shown = if is_json { pretty(text) } else { text.to_owned() };
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|editor| !editor.is_empty()))
        .ok_or_else(|| {
            CliError::Usage("no editor is known; set $EDITOR, or give --patch FILE or --set FILE".into())
        })?;
    let failed = |what, remedy| move |source| CliError::System { what, source, remedy };
    let suffix = if is_json { ".json" } else { ".txt" };
    let mut file = tempfile::Builder::new()
        .prefix("tidewire-letter-")
        .suffix(suffix)
        .tempfile()
        .map_err(failed("make a file for the editor", NO_ROOM))?;
    file.write_all(shown.as_bytes())
        .map_err(failed("write the file for the editor", NO_ROOM))?;
    // An editor may be a command with flags, such as `code --wait`.
    let mut words = editor.split_whitespace();
    let status = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(file.path())
        .status()
        .map_err(failed(
            "start the editor that $VISUAL or $EDITOR names",
            "let it name one, or give --patch FILE or --set FILE",
        ))?;
    if !status.success() {
        return Err(CliError::Usage(format!(
            "the editor ended with {status}; nothing was changed, leave it well or give --set FILE"
        )));
    }
    let edited = fs::read(file.path()).map_err(unreadable(file.path()))?;
    let same = |edited: &str| edited.trim_end_matches('\n') == shown.trim_end_matches('\n');
    match std::str::from_utf8(&edited) {
        Ok(edited) if same(edited) => Ok(payload.to_owned()),
        Ok(edited) if is_json && !self::is_json(edited) => {
            let edited = edited.to_owned();
            let kept = file.keep().map(|(_, path)| path);
            let place = kept.map_or_else(
                |_| format!("this is it: {edited}"),
                |path| format!("it is kept in {}", path.display()),
            );
            Err(CliError::Usage(format!(
                "the payload was JSON and is none any more; nothing was changed, and {place}: mend it and give it by --set FILE"
            )))
        }
        // Editors end a file with a line break, and JSON needs none.
        Ok(edited) if is_json => Ok(edited.trim_end().as_bytes().to_owned()),
        _ => Ok(edited),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}
