//! `tidewire dlq ls`.

use std::process::ExitCode;

use clap::Args;
use tidewire::Timestamp;
use tidewire_ops::{Group, Listed, Listing, Selection, groups, state_name};

use super::{
    ERROR, open_to_read,
    select::{SelectArgs, tell_unreadable},
};
use crate::{connect::ConnectArgs, error::CliError, output::Output, shorten::shorten, table::table};

/// List dead letters, by what they failed of
///
/// A group has the letters of one handler that failed alike: with one class and one error, numbers in it aside. Shown are
/// those that are open or being replayed; --all adds those that were handled or discarded.
#[derive(Clone, Debug, Args)]
pub(super) struct LsArgs {
    /// List letters, one a line, in place of groups
    #[arg(long)]
    letters: bool,
    /// Add those that were handled or discarded
    #[arg(long)]
    all: bool,
    /// Print JSON: an object for each group or letter
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn ls(args: LsArgs, out: Output) -> Result<ExitCode, CliError> {
    let Some(dead) = open_to_read(&args.connect).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let selection = Selection {
        closed: args.all,
        ..args.select.selection()
    };
    let listing = dead.list(&selection).await?;
    tell_unreadable(&listing);
    let groups = groups(&listing.letters);
    match (args.json, args.letters) {
        (true, true) => listing
            .letters
            .iter()
            .try_for_each(|letter| out.json_line(letter))?,
        (true, false) => groups.iter().try_for_each(|group| out.json_line(group))?,
        (false, _) if listing.letters.is_empty() => out.line("no such dead letters")?,
        (false, true) => letters(&listing).iter().try_for_each(|line| out.line(line))?,
        (false, false) => by_group(&groups, args.all)
            .iter()
            .try_for_each(|line| out.line(line))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn by_group(groups: &[Group], all: bool) -> Vec<String> {
    let closed = |cells: [String; 2]| cells.into_iter().filter(|_| all).collect::<Vec<_>>();
    let row = |start: [String; 5], end: [String; 2], times: [String; 2]| {
        [start.to_vec(), closed(end), times.to_vec()].concat()
    };
    let mut rows = vec![row(
        ["GROUP", "HANDLER", "CLASS", "OPEN", "REPLAYING"].map(Into::into),
        ["HANDLED", "DISCARDED"].map(Into::into),
        ["FIRST SEEN", "LAST SEEN"].map(Into::into),
    )];
    rows.extend(groups.iter().map(|group| {
        row(
            [
                group.group.clone(),
                format!("{}__{}", group.service, group.durable),
                group.class.clone(),
                group.open.to_string(),
                group.replaying.to_string(),
            ],
            [group.handled.to_string(), group.discarded.to_string()],
            [second(group.first_failed), second(group.last_failed)],
        )
    }));
    let mut rows = table(&rows).into_iter();
    let mut lines: Vec<_> = rows.next().into_iter().collect();
    for (row, group) in rows.zip(groups) {
        lines.push(row);
        lines.push(format!("          {}", shorten(&group.error, ERROR)));
    }
    lines
}

fn letters(listing: &Listing) -> Vec<String> {
    let head = [
        "LETTER",
        "GROUP",
        "STATE",
        "HANDLER",
        "SUBJECT",
        "FAILED LAST",
        "TRIES",
        "ERROR",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(listing.letters.iter().map(cells));
    table(&rows)
}

fn cells(letter: &Listed) -> Vec<String> {
    vec![
        letter.letter.to_string(),
        letter.group.clone(),
        state_name(letter.state).to_owned(),
        format!("{}__{}", letter.service, letter.durable),
        letter.subject.clone(),
        second(letter.last_failed),
        letter.attempts.to_string(),
        format!("{}: {}", letter.class, shorten(&letter.error, ERROR)),
    ]
}

/// To the second: 2026-03-20T10:00:00Z.
pub(super) fn second(time: Timestamp) -> String {
    let time = time.to_string();
    format!("{}Z", time.get(..19).unwrap_or(&time))
}
