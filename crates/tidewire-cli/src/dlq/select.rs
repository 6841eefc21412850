//! The flags that say which letters are meant.

use clap::Args;
use tidewire::Timestamp;
use tidewire_ops::{DeadLetters, Listed, Listing, Selection};

use super::{announce, moment::moment, open};
use crate::{
    ask::{AskArgs, may_go_on},
    connect::ConnectArgs,
    error::CliError,
    output::{Output, note},
};

// Which letters; no doc comment, for clap would show it in place of the verb's own.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which letters")]
pub(super) struct SelectArgs {
    /// Of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Of this durable: its name, or <service>__<durable>
    #[arg(long, value_name = "NAME")]
    durable: Option<String>,
    /// Whose last error is of this class, such as rejected or exhausted
    #[arg(long)]
    class: Option<String>,
    /// Of this message: its name, its subject, or a filter such as orders.>
    #[arg(long, value_name = "NAME")]
    message: Option<String>,
    /// With this key, not escaped
    #[arg(long)]
    key: Option<String>,
    /// That failed last at this time or later: 2026-03-20T10:00:00Z, or how long ago: 30m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// That failed last before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Of this group, as `tidewire dlq ls` names it
    #[arg(long)]
    group: Option<String>,
}

// The same, for a verb that does something to them, with how it is asked about and told.
#[derive(Clone, Debug, Args)]
pub(super) struct ActArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Print JSON: an object for each letter
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    chosen: ChosenArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Debug, Args)]
struct ChosenArgs {
    /// A letter or a group, as `tidewire dlq ls` names them
    #[arg(value_name = "LETTER|GROUP")]
    what: Option<String>,
    /// Every letter that is open or being replayed
    #[arg(long, conflicts_with = "what")]
    all: bool,
    #[command(flatten)]
    select: SelectArgs,
}

impl SelectArgs {
    pub(super) fn selection(self) -> Selection {
        self.narrowing(Selection::default())
    }

    fn narrowing(self, given: Selection) -> Selection {
        Selection {
            service: self.service,
            durable: self.durable,
            class: self.class,
            message: self.message,
            key: self.key,
            since: self.since,
            until: self.until,
            group: given.group.or(self.group),
            ..given
        }
    }

    fn is_empty(&self) -> bool {
        let texts = [
            &self.service,
            &self.durable,
            &self.class,
            &self.message,
            &self.key,
            &self.group,
        ];
        texts.iter().all(|text| text.is_none()) && self.since.is_none() && self.until.is_none()
    }
}

impl ActArgs {
    /// The letters to which something is to be done, once that was said and agreed to; `None` where nothing is.
    pub(super) async fn letters(
        self,
        out: &Output,
        what: &str,
    ) -> Result<Option<(DeadLetters, Vec<Listed>)>, CliError> {
        let dead = open(&self.connect).await?;
        let letters = self.chosen.letters(&dead).await?;
        if !self.json {
            announce(out, &letters, what)?;
        }
        if letters.is_empty() || !may_go_on(self.ask)? {
            return Ok(None);
        }
        Ok(Some((dead, letters)))
    }
}

impl ChosenArgs {
    /// The letters that are meant: open and replaying ones, or the one that is named.
    async fn letters(self, dead: &DeadLetters) -> Result<Vec<Listed>, CliError> {
        if self.what.is_none() && !self.all && self.select.is_empty() {
            return Err(CliError::Usage(
                "say which letters: an id or a group that `tidewire dlq ls` shows, flags such as --durable and --class, or \
                 --all"
                    .into(),
            ));
        }
        let selection = match &self.what {
            Some(what) => self.select.narrowing(named(what)?),
            None => self.select.selection(),
        };
        let listing = dead.list(&selection).await?;
        tell_unreadable(&listing);
        match (&self.what, listing.letters.is_empty()) {
            (Some(what), true) => Err(unknown(what)),
            _ => Ok(listing.letters),
        }
    }
}

pub(super) fn named(what: &str) -> Result<Selection, CliError> {
    Ok(Selection::named(what).map_err(tidewire_ops::OpsError::from)?)
}

pub(super) fn unknown(what: &str) -> CliError {
    let what = what.to_owned();
    tidewire_ops::OpsError::from(tidewire_ops::LetterError::Unknown { what }).into()
}

/// What lies in the stream and is no letter is never passed over in silence.
pub(super) fn tell_unreadable(listing: &Listing) {
    for unreadable in &listing.unreadable {
        note(format_args!(
            "the message {0} of TIDEWIRE_DLQ, on {1}, cannot be read: {2}; look at it with `nats stream get TIDEWIRE_DLQ {0}`",
            unreadable.sequence, unreadable.subject, unreadable.reason
        ));
    }
}
