//! A letter: all of its records together.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use tidewire_subject::Subject;

use super::{Act, Import, Original, Record, Trouble};
use crate::{
    Timestamp,
    id::hash,
    purpose::{real_subject_or_own, tw_subject},
};

/// Names one message among all that a handler may fail on: a hash of its stream, of when that stream was made, and of
/// its place in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(String);

/// Text that is no letter's.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a letter's id has 26 characters, digits and lower-case letters; see `tidewire dlq ls`")]
pub struct InvalidLetterId;

/// A dead letter and what became of it.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id.
    pub id: LetterId,
    /// The service that could not handle it.
    pub service: String,
    /// The durable that could not.
    pub durable: String,
    /// Its records, oldest first; never empty.
    records: Vec<StoredRecord>,
}

/// A record and where it is stored.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// Its place in the dead-letter stream.
    pub sequence: u64,
    /// When it was stored; for the first time, where it was imported.
    pub time: Timestamp,
    /// The record.
    pub record: Record,
    /// Who brought it here, where it was exported elsewhere.
    pub imported: Option<Import>,
}

/// Where a letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetterState {
    /// It waits for somebody.
    Open,
    /// It was given to its handler again.
    Replaying,
    /// It was handled.
    Handled,
    /// It was given up.
    Discarded,
}

impl LetterId {
    /// The letter of the message at `sequence` of a stream that was made at `created`.
    pub fn of(stream: &str, created: Timestamp, sequence: u64) -> Self {
        Self(hash(&[
            stream.as_bytes(),
            created.to_string().as_bytes(),
            &sequence.to_be_bytes(),
        ]))
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LetterId {
    type Err = InvalidLetterId;

    fn from_str(text: &str) -> Result<Self, InvalidLetterId> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if text.len() == 26 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLetterId)
        }
    }
}

impl Letter {
    /// The letter that `records`, oldest first, tell of; `None` where the first does not hold the message.
    pub fn of(id: LetterId, service: &str, durable: &str, records: Vec<StoredRecord>) -> Option<Self> {
        records.first()?.record.original.as_ref()?;
        Some(Self {
            id,
            service: service.to_owned(),
            durable: durable.to_owned(),
            records,
        })
    }

    /// Its records, oldest first.
    pub fn records(&self) -> &[StoredRecord] {
        &self.records
    }

    /// Where it stands: what the last record says.
    pub fn state(&self) -> LetterState {
        match self.records.last().map(|last| last.record.act) {
            Some(Act::Replayed) => LetterState::Replaying,
            Some(Act::Handled) => LetterState::Handled,
            Some(Act::Discarded) => LetterState::Discarded,
            Some(Act::Failed | Act::Edited) | None => LetterState::Open,
        }
    }

    /// The place of the last record, which the next act expects.
    pub fn last_sequence(&self) -> u64 {
        self.records.last().map_or(0, |last| last.sequence)
    }

    /// The message as it would be replayed: that of the last failure or edit.
    pub fn message(&self) -> Option<&Original> {
        self.records
            .iter()
            .rev()
            .find_map(|stored| stored.record.original.as_ref())
    }

    /// The message as it came.
    pub fn original(&self) -> Option<&Original> {
        self.records.first()?.record.original.as_ref()
    }

    /// The last failure.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.records
            .iter()
            .rev()
            .find_map(|stored| stored.record.trouble.as_ref())
    }

    /// The message's name, where its subject is one of ours.
    pub fn name(&self) -> Option<String> {
        Some(self.subject()?.name().as_str().to_owned())
    }

    /// The message's key, where its subject is one of ours and has one.
    pub fn key(&self) -> Option<String> {
        Some(self.subject()?.key()?.text().into_owned())
    }

    /// The subject that it was sent to, which is not where it was stored where that is a queue.
    fn subject(&self) -> Option<Subject> {
        let original = self.original()?;
        let headers = original.parsed_headers().iter();
        let header = tw_subject(headers.map(|(name, value)| (name.as_str(), value.as_str())));
        Subject::parse(real_subject_or_own(&original.subject, header)).ok()
    }

    /// What groups it with its like; see [`fingerprint`].
    pub fn fingerprint(&self) -> String {
        let (class, error) = self
            .trouble()
            .map_or(("", ""), |trouble| (&trouble.class, &trouble.error));
        fingerprint(&self.service, &self.durable, class, error)
    }
}

/// The same eight digits for all failures of one handler with one class and one error, whatever numbers and names with
/// digits the error shows.
pub fn fingerprint(service: &str, durable: &str, class: &str, error: &str) -> String {
    let mut hash = Sha256::new();
    for part in [service, durable, class, &without_numbers(error)] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..4]
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn without_numbers(error: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut text = String::new();
    let mut rest = error;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        text.push_str(if word.contains(|c: char| c.is_ascii_digit()) {
            "#"
        } else {
            word
        });
        rest = after;
    }
    text
}
