//! What became of a letter that was replayed.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use tidewire::dead_letter::{LetterId, LetterState, Trouble};

use crate::dead_letters::{Listed, listed, state_name};

/// A letter and what its replay came to.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// The letter.
    #[serde(serialize_with = "listed::as_text")]
    pub letter: LetterId,
    /// Where its message was sent to.
    pub subject: String,
    /// What it came to.
    #[serde(flatten)]
    pub end: ReplayEnd,
}

/// What a replay came to.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayEnd {
    /// The handler has handled it now.
    Handled,
    /// Its message was published to its subject again.
    Republished {
        /// The stream that has it.
        stream: String,
        /// Its place there.
        sequence: u64,
    },
    /// The handler failed again.
    Failed {
        /// The class of the error.
        class: String,
        /// What the error says.
        error: String,
        /// How often it was tried by now.
        attempts: u32,
    },
    /// The handler has not answered in time; the letter is still on its way, and the next replay waits for it again.
    Unanswered {
        /// The time it had.
        #[serde(rename = "within_seconds", serialize_with = "as_seconds")]
        within: Duration,
    },
    /// It was not sent, for one before it with the same key did not come to its end.
    Behind {
        /// The letter before it.
        of: String,
    },
    /// It was handled or discarded before; nothing was sent.
    Closed {
        /// Where it stands.
        #[serde(serialize_with = "listed::as_state")]
        state: LetterState,
    },
    /// Nothing was sent, by us or by the one who acted first.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

impl Replayed {
    pub(super) fn of(letter: &Listed, end: ReplayEnd) -> Self {
        Self {
            letter: letter.letter.clone(),
            subject: letter.subject.clone(),
            end,
        }
    }
}

impl ReplayEnd {
    pub(super) fn failed(trouble: Option<&Trouble>) -> Self {
        Self::Failed {
            class: trouble.map(|trouble| trouble.class.clone()).unwrap_or_default(),
            error: trouble.map(|trouble| trouble.error.clone()).unwrap_or_default(),
            attempts: trouble.map_or(0, |trouble| trouble.attempts),
        }
    }

    /// Whether the letter needs nobody any more.
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Self::Handled | Self::Republished { .. } | Self::Closed { .. }
        )
    }
}

impl fmt::Display for ReplayEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handled => f.write_str("handled"),
            Self::Republished { stream, sequence } => write!(f, "published again, as {stream}:{sequence}"),
            Self::Failed {
                class,
                error,
                attempts,
            } => {
                write!(f, "failed again, {attempts} attempts in all: {class}: {error}")
            }
            Self::Unanswered { within } => write!(
                f,
                "on its way, and its handler has not answered within {within:?}; see that the service runs, and run the same \
                 again to wait for it"
            ),
            Self::Behind { of } => write!(
                f,
                "not sent, for {of} before it, with the same key, did not come to its end"
            ),
            Self::Closed { state } => write!(f, "{} already, nothing was sent", state_name(*state)),
            Self::Refused { reason } => f.write_str(reason),
        }
    }
}

fn as_seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}
