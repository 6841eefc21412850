//! Letters stored again from lines of text.

use std::borrow::Cow;

use tidewire::{
    Timestamp,
    dead_letter::{Import, LetterId, Record, Wrapped},
    wire,
};

use super::{
    DeadLetters, LetterError,
    export::{Exported, ExportedRecord, FORM, is_kept},
    read::address,
};
use crate::error::OpsError;

/// What became of a line of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Imported {
    /// The letter is there now.
    Stored,
    /// The letter was there before, and was left as it is.
    There,
}

/// Room below the server's limit for what is written beside.
const SPARE: usize = 1 << 10;

impl DeadLetters {
    /// Stores the letter of a line again, record by record, unless it is there. One that an import left unfinished is
    /// brought to its end. Each record says who imported it and `from` where, such as the name of the file.
    ///
    /// # Errors
    /// [`LetterError::Import`] where the line, `number` counted from 1, is none of an export, and [`OpsError`] where the
    /// stream refuses it.
    pub async fn import(&self, from: &str, number: usize, text: &str) -> Result<Imported, OpsError> {
        let bad = |reason: String| LetterError::Import { line: number, reason };
        let letter: Exported = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let records = letter.checked().map_err(bad)?;
        let subject = wire::letter_subject(&letter.service, &letter.durable, &letter.letter);
        let there = self.records(&subject).await?;
        let mut after = there.last().map_or(0, |last| last.sequence);
        let there: Vec<_> = there.into_iter().map(ExportedRecord::of).collect();
        if there.len() >= letter.records.len() || !letter.records.starts_with(&there) {
            return Ok(Imported::There);
        }
        let import = Import {
            by: self.by.clone(),
            from: from.to_owned(),
            time: Timestamp::default(),
        };
        for mut written in records.into_iter().skip(there.len()) {
            written.headers.extend(import.headers());
            let size: usize = written
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len() + 4)
                .sum();
            let oversized = size + written.body.len() + SPARE > self.nats.client().max_payload();
            let written = Wrapped { oversized, ..written };
            match self.store(&subject, &letter.letter, written, after).await? {
                Some(sequence) => after = sequence,
                // Somebody imports the same, or the letter failed here meanwhile.
                None => return Ok(Imported::There),
            }
        }
        Ok(Imported::Stored)
    }
}

impl Exported {
    /// The records in the form in which they are stored, if they are what they should be.
    fn checked(&self) -> Result<Vec<Wrapped>, String> {
        if self.dead_letter != FORM {
            return Err(format!(
                "its form is {} and this program reads {FORM}; use the version that wrote it",
                self.dead_letter
            ));
        }
        self.letter
            .parse::<LetterId>()
            .map_err(|error| error.to_string())?;
        let subject = wire::letter_subject(&self.service, &self.durable, &self.letter);
        let is_token =
            |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || ".*>".contains(c));
        if address(&subject).is_none() || !is_token(&self.service) || !is_token(&self.durable) {
            return Err(format!("`{subject}` is no subject of a letter"));
        }
        let mut written = Vec::new();
        for record in &self.records {
            if let Some((name, _)) = record.headers.iter().find(|(name, _)| !is_kept(name)) {
                return Err(format!("no export has the header `{name}`"));
            }
            let body = record.body.bytes().map_err(|error| error.to_string())?;
            let pairs = record.headers.iter().map(|(name, value)| (&**name, &**value));
            let read = Record::read(&pairs, &body).map_err(|error| error.to_string())?;
            if written.is_empty() && read.original.is_none() {
                return Err("its first record does not hold the message".into());
            }
            let mut headers: Vec<_> = record
                .headers
                .iter()
                .map(|(name, value)| (Cow::Owned(name.clone()), value.clone()))
                .collect();
            headers.push((wire::TW_RECORDED.into(), record.time.to_string()));
            written.push(Wrapped {
                headers,
                body,
                oversized: false,
            });
        }
        if written.is_empty() {
            return Err("it has no records".into());
        }
        Ok(written)
    }
}
