//! Changing what a letter holds.

use bytes::Bytes;
use json_patch::Patch;
use serde::Serialize;
use serde_json::Value;
use tidewire::dead_letter::{Act, Letter, LetterId, LetterState, Original, Record};

use super::{DeadLetters, LetterError, Listed, listed};
use crate::error::OpsError;

/// How a payload is to be changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Edit {
    /// Another payload in its place.
    Payload(Bytes),
    /// A JSON Patch ([RFC 6902](https://www.rfc-editor.org/rfc/rfc6902)), as its text.
    Patch(String),
}

/// A letter after an edit.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Edited {
    /// The letter.
    #[serde(serialize_with = "listed::as_text")]
    pub letter: LetterId,
    /// Whether anything is another than before: if not, nothing was recorded.
    pub changed: bool,
    /// The place of the record that holds the new message; 0 where nothing changed.
    pub record: u64,
}

impl DeadLetters {
    /// Stores an open letter's message with another payload, behind what is there; headers stay as they are.
    ///
    /// # Errors
    /// [`LetterError::Change`] where it cannot be changed so, [`LetterError::NotOpen`], [`LetterError::Outrun`] where
    /// somebody acted since `letter` was read, or what the stream refused.
    pub async fn edit(&self, letter: &Letter, change: &Edit) -> Result<Edited, OpsError> {
        let unknown = || LetterError::Unknown {
            what: letter.id.to_string(),
        };
        let message = letter.message().ok_or_else(unknown)?;
        let listed = Listed::of(letter).ok_or_else(unknown)?;
        if letter.state() != LetterState::Open {
            let remedy = match letter.state() {
                LetterState::Replaying => "wait for its handler, which has the message as it was",
                LetterState::Discarded => "give it back as it is by `tidewire dlq replay`",
                _ => "nothing is left to be done",
            };
            return Err(LetterError::NotOpen {
                letter: letter.id.clone(),
                state: letter.state(),
                done: "edited",
                remedy,
            }
            .into());
        }
        let payload = change.made(&message.payload)?;
        if payload == message.payload {
            return Ok(Edited {
                letter: letter.id.clone(),
                changed: false,
                record: 0,
            });
        }
        let record = Record {
            original: Some(Original {
                payload,
                ..message.clone()
            }),
            ..self.act(Act::Edited, &listed.consumer, None)
        };
        match self.append(&listed, &record, letter.last_sequence()).await? {
            Some(record) => Ok(Edited {
                letter: letter.id.clone(),
                changed: true,
                record,
            }),
            None => Err(self.outrun(&listed).await?),
        }
    }
}

impl Edit {
    fn made(&self, payload: &Bytes) -> Result<Bytes, LetterError> {
        let patch = match self {
            Self::Payload(payload) => return Ok(payload.clone()),
            Self::Patch(patch) => patch,
        };
        let cannot = |what: &str| LetterError::Change(what.to_owned());
        let patch: Patch = serde_json::from_str(patch).map_err(|error| {
            LetterError::Change(format!("the patch is no JSON Patch (RFC 6902): {error}"))
        })?;
        let text = std::str::from_utf8(payload).map_err(|_| cannot("it is no JSON"))?;
        let before: Value = serde_json::from_str(text).map_err(|_| cannot("it is no JSON"))?;
        if !keeps_numbers(text) {
            return Err(cannot("it has a number with more digits than a patch would keep"));
        }
        let mut after = before.clone();
        json_patch::patch(&mut after, &patch).map_err(|error| LetterError::Change(error.to_string()))?;
        if after == before {
            return Ok(payload.clone());
        }
        Ok(after.to_string().into())
    }
}

/// The most significant digits that a double always keeps.
const DIGITS: usize = 15;

/// Whether each number of a JSON text is the same once it was read and written.
fn keeps_numbers(text: &str) -> bool {
    let (mut in_string, mut is_escaped) = (false, false);
    let outside = |c: char| {
        let was = in_string;
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
        } else {
            in_string = c == '"';
        }
        if was || in_string { ' ' } else { c }
    };
    let bare: String = text.chars().map(outside).collect();
    let mut words = bare.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    words.all(|word| {
        if !word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return true;
        }
        let digits = word.split(['e', 'E']).next().unwrap_or_default();
        let is_short = digits.bytes().filter(u8::is_ascii_digit).count() <= DIGITS;
        is_short || word.parse::<i64>().is_ok() || word.parse::<u64>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_would_not_be_the_same_is_seen() {
        for kept in [
            "1",
            r#"{"a":-1.5e3,"b":18446744073709551615}"#,
            r#"{"a":"1234567890.123456789\"1"}"#,
        ] {
            assert!(keeps_numbers(kept), "{kept}");
        }
        for lost in ["18446744073709551616", r#"{"a\"":0.1234567890123456789}"#] {
            assert!(!keeps_numbers(lost), "{lost}");
        }
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let patch = Edit::Patch(r#"[{"op":"replace","path":"/a","value":2}]"#.into());
        assert_eq!(
            patch.made(&r#"{"a":1,"b":3}"#.into()).unwrap(),
            r#"{"a":2,"b":3}"#
        );
        let same = Bytes::from_static(br#"{ "a": 2 }"#);
        assert_eq!(
            patch.made(&same).unwrap(),
            same,
            "nothing changed, so not a byte is another"
        );
        assert!(patch.made(&"no json".into()).is_err());
        assert!(patch.made(&r#"{"b":3}"#.into()).is_err());
    }
}
