//! Giving a letter up.

use serde::Serialize;
use tidewire::dead_letter::{Act, LetterId, LetterState};

use super::{DeadLetters, LetterError, Listed, listed};
use crate::error::OpsError;

/// A letter that was given up.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Discarded {
    /// The letter.
    #[serde(serialize_with = "listed::as_text")]
    pub letter: LetterId,
    /// Whether it was before: then nothing was done.
    pub before: bool,
    /// The place of the record that says so; 0 where it was before.
    pub record: u64,
}

impl DeadLetters {
    /// Gives an open letter up, for a reason that its record keeps.
    ///
    /// # Errors
    /// [`LetterError::NotOpen`] for one that is replayed or was handled, [`LetterError::Outrun`] where somebody else acted
    /// since it was listed, or what the stream refused.
    pub async fn discard(&self, letter: &Listed, reason: &str) -> Result<Discarded, OpsError> {
        let id = letter.letter.clone();
        let remedy = match letter.state {
            LetterState::Open => {
                let record = self.act(Act::Discarded, &letter.consumer, Some(reason));
                return match self.append(letter, &record, letter.last_record).await? {
                    Some(record) => Ok(Discarded {
                        letter: id,
                        before: false,
                        record,
                    }),
                    None => Err(self.outrun(letter).await?),
                };
            }
            LetterState::Discarded => {
                return Ok(Discarded {
                    letter: id,
                    before: true,
                    record: 0,
                });
            }
            LetterState::Replaying => {
                "wait for its handler, or bring the replay to its end by `tidewire dlq replay`"
            }
            LetterState::Handled => "nothing is left to be done",
        };
        Err(LetterError::NotOpen {
            letter: id,
            state: letter.state,
            done: "discarded",
            remedy,
        }
        .into())
    }

    /// Says that somebody else was first, and what became of the letter.
    pub(super) async fn outrun(&self, letter: &Listed) -> Result<OpsError, OpsError> {
        let state = self.read(letter).await?.state();
        let letter = letter.letter.clone();
        Ok(LetterError::Outrun { letter, state }.into())
    }
}
