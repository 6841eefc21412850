//! `tidewire dlq show`.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use serde::Serialize;
use tidewire_ops::{
    AttemptView, Group, LetterView, Listed, Message, OpsError, RecordView, groups, state_name,
};

use super::{
    ls::second,
    open,
    select::{named, tell_unreadable, unknown},
};
use crate::{connect::ConnectArgs, error::CliError, output::Output, pretty::pretty, shorten::shorten};

/// How much of a text is shown.
const TEXT: usize = 4096;
/// How many bytes are shown of what is no text.
const BYTES: usize = 256;
/// How many letters of a group are listed.
const LISTED: usize = 20;

/// Show a dead letter whole: message, headers, error, each attempt, and all that was done about it
///
/// What Protobuf data says is asked of a running instance of the service. What the letter itself does not tell of earlier attempts is in the error events, which are kept for a time. Of a group it
/// shows which letters it has, and the one that failed last.
#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// A letter or a group, as `tidewire dlq ls` names them
    #[arg(value_name = "LETTER|GROUP")]
    what: String,
    /// Print JSON, with all of the message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Serialize)]
struct GroupView<'a> {
    #[serde(flatten)]
    group: &'a Group,
    letters: &'a [Listed],
    last: &'a LetterView,
}

pub(super) async fn show(args: ShowArgs, out: Output) -> Result<ExitCode, CliError> {
    let dead = open(&args.connect).await?;
    let mut selection = named(&args.what)?;
    selection.closed = true;
    let is_group = selection.group.is_some();
    let listing = dead.list(&selection).await?;
    tell_unreadable(&listing);
    let last = listing.letters.iter().max_by_key(|letter| letter.last_failed);
    let last = last.ok_or_else(|| unknown(&args.what))?;
    let letter = dead.read(last).await?;
    let tries = dead.attempts(&letter).await;
    let view = LetterView::of(&letter, tries).ok_or_else(|| unknown(&args.what))?;
    let view = dead.decoded(view).await;
    let groups = groups(&listing.letters);
    let lines = match groups.first().filter(|_| is_group) {
        Some(group) if args.json => {
            let letters = &listing.letters;
            out.json(&GroupView {
                group,
                letters,
                last: &view,
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        None if args.json => {
            out.json(&view)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(group) => [of_group(group, &listing.letters), of_letter(&view)?].concat(),
        None => of_letter(&view)?,
    };
    for line in lines {
        out.line(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn of_group(group: &Group, letters: &[Listed]) -> Vec<String> {
    let mut lines = vec![format!(
        "group {}: {} open, {} replaying, {} handled, {} discarded",
        group.group, group.open, group.replaying, group.handled, group.discarded
    )];
    let shown = letters.iter().take(LISTED);
    lines.extend(shown.map(|letter| {
        format!(
            "  {}  {:<9}  {}",
            letter.letter,
            state_name(letter.state),
            letter.subject
        )
    }));
    if letters.len() > LISTED {
        lines.push(format!("  and {} more", letters.len() - LISTED));
    }
    lines.extend([String::new(), "the one that failed last".into()]);
    lines
}

fn of_letter(view: &LetterView) -> Result<Vec<String>, CliError> {
    let letter = &view.listed;
    let mut lines = vec![
        format!("letter {}", letter.letter),
        format!("  state    {}", state_name(letter.state)),
        format!("  group    {}", letter.group),
        format!("  handler  {}__{}", letter.service, letter.durable),
        format!("  subject  {}", letter.subject),
        format!(
            "  stored   in {} at {}, {}",
            letter.stream,
            letter.sequence,
            second(view.stored)
        ),
    ];
    lines.extend(letter.key.as_ref().map(|key| format!("  key      {key}")));
    lines.push(format!("  error    {}: {}", letter.class, letter.error));
    lines.extend(
        view.chain
            .iter()
            .map(|cause| format!("           because {cause}")),
    );
    lines.push(format!(
        "  tried    {}, {} to {}",
        counted(letter.attempts, "time"),
        second(letter.first_failed),
        second(letter.last_failed)
    ));
    lines.extend(of_attempts(&view.tries));
    lines.push("history".into());
    for record in &view.history {
        lines.extend(of_record(record)?);
    }
    if !view.headers.is_empty() {
        lines.push("headers".into());
        for (name, values) in &view.headers {
            lines.extend(values.iter().map(|value| format!("  {name}: {value}")));
        }
    }
    if let Some(block) = &view.broken_headers {
        lines.push("headers that cannot be read, as base64".into());
        lines.push(format!("  {block}"));
    }
    lines.push("message".into());
    lines.extend(of_message(&view.message)?);
    Ok(lines)
}

fn of_attempts(tries: &[AttemptView]) -> Vec<String> {
    let rows: Vec<_> = tries.iter().filter_map(of_attempt).collect();
    let width = rows.iter().map(|(which, _)| which.len()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(which, what)| format!("  {which:<width$}  {what}"));
    let head = (!rows.is_empty()).then(|| "attempts".to_owned());
    head.into_iter().chain(lines).collect()
}

/// Which attempts, and what is known of them.
fn of_attempt(view: &AttemptView) -> Option<(String, String)> {
    Some(match view {
        AttemptView::Known {
            attempt,
            failed,
            class,
            error,
            ..
        } => (
            attempt.to_string(),
            format!("{}  {class}: {error}", second(*failed)),
        ),
        AttemptView::Unknown { from, to, reason, .. } if from == to => (from.to_string(), reason.clone()),
        AttemptView::Unknown { from, to, reason, .. } => (format!("{from} to {to}"), reason.clone()),
        _ => return None,
    })
}

/// `1 attempt`, `2 attempts`.
fn counted(count: u32, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn of_record(record: &RecordView) -> Result<Vec<String>, CliError> {
    let mut line = format!("  {}  {} by {}", second(record.time), record.act, record.by);
    // A service that acts says its version with its name.
    if let Some(version) = record
        .service_version
        .as_ref()
        .filter(|version| !record.by.contains(*version))
    {
        let _ = write!(line, ", version {version}");
    }
    if let (Some(attempts), Some(class), Some(error)) = (record.attempts, &record.class, &record.error) {
        let _ = write!(line, ", after {}: {class}: {error}", counted(attempts, "attempt"));
    }
    if let Some(reason) = &record.reason {
        let _ = write!(line, ": {reason}");
    }
    let mut lines = vec![line];
    if let Some(message) = &record.message {
        lines.push("    with the message, which is another one now".into());
        lines.extend(of_message(message)?.iter().map(|line| format!("    {line}")));
    }
    Ok(lines)
}

fn of_message(message: &Message) -> Result<Vec<String>, CliError> {
    let text = match message {
        Message::Bytes { bytes } => {
            let shown = bytes.iter().take(BYTES).fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            let more = if bytes.len() > BYTES { "…" } else { "" };
            format!("{} bytes: {shown}{more}", bytes.len())
        }
        Message::Text { text } => text.clone(),
        Message::Json { json } => pretty(json.get()),
        known => {
            let json = serde_json::to_string(known);
            pretty(
                &json.map_err(|error| CliError::Fault(format!("this cannot be written as JSON: {error}")))?,
            )
        }
    };
    let text = shorten(&text, TEXT);
    Ok(text.split('\n').map(|line| format!("  {line}")).collect())
}

impl From<tidewire_ops::LetterError> for CliError {
    fn from(error: tidewire_ops::LetterError) -> Self {
        Self::Ops(OpsError::from(error))
    }
}
