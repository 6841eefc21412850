//! One record of a dead letter.

use std::{borrow::Cow, fmt, str::FromStr};

use bytes::Bytes;

use super::{Original, UnreadableOriginal, Wrapped};
use crate::{Timestamp, text::head, wire};

/// What a record says happened to a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// The handler could not handle it: at first, or when it was replayed. Without an error it is a replay that could not
    /// be sent, for the reason that it gives.
    Failed,
    /// Somebody replays it, and nobody else may meanwhile.
    Replayed,
    /// It was handled after a replay.
    Handled,
    /// Its content was changed; the record holds the new one, and the earlier ones stay.
    Edited,
    /// It was given up: by a rule of its handler, or by somebody, with a reason.
    Discarded,
}

/// One record: an act, who did it, and what the act needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub act: Act,
    /// Who did it: a service's instance, or a person at a machine.
    pub by: String,
    /// Why; somebody who discards says it.
    pub reason: Option<String>,
    /// The handler's consumer on the original's stream.
    pub consumer: String,
    /// The version of the service that did it; `None` where a tool did.
    pub service_version: Option<String>,
    /// What went wrong, where the handler failed.
    pub trouble: Option<Trouble>,
    /// The message, in records that hold it: the first one, and those of new failures and edits.
    pub original: Option<Original>,
}

/// What went wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The class of the error; an open set.
    pub class: String,
    /// What the error says.
    pub error: String,
    /// The causes of the error, outermost first.
    pub chain: Vec<String>,
    /// How often the message was tried, earlier replays included.
    pub attempts: u32,
    /// When the first attempt failed.
    pub first_failed: Timestamp,
    /// When the last attempt failed.
    pub last_failed: Timestamp,
    /// The `traceparent` of the last attempt, where it had a span of its own: a replay links to it.
    pub traceparent: Option<String>,
}

/// Who brought a record from another stream of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Who did it: a person at a machine.
    pub by: String,
    /// Where the record was then, such as a file.
    pub from: String,
    /// When it was stored here.
    pub time: Timestamp,
}

/// A message in the dead-letter stream that is no record.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableRecord {
    /// It does not say what happened.
    #[error(
        "the header `{}` is missing, or is an act that this version does not know; upgrade this program",
        wire::TW_ACT
    )]
    Act,
    /// It holds a message and does not say which.
    #[error(transparent)]
    Original(#[from] UnreadableOriginal),
}

const MOST_OF_ERROR: usize = 1 << 10;
const MOST_OF_CHAIN: usize = 8 << 10;
/// Of each part of an import: a record with all the headers that it may have has room for both.
const MOST_OF_IMPORT: usize = 100;
/// Between two causes in the header.
const BECAUSE: &str = " <- ";

impl Record {
    /// Writes the record for a server whose largest message has `max_payload` bytes. It always can be written: see
    /// [`Original::wrap`].
    pub fn write(&self, max_payload: usize) -> Wrapped {
        let mut headers: Vec<(Cow<'static, str>, String)> = vec![
            (wire::TW_ACT.into(), self.act.to_string()),
            (wire::TW_BY.into(), line(&self.by, MOST_OF_ERROR)),
            (wire::TW_CONSUMER.into(), self.consumer.clone()),
        ];
        let mut say = |name: &'static str, value: String| headers.push((name.into(), value));
        if let Some(reason) = &self.reason {
            say(wire::TW_REASON, line(reason, MOST_OF_ERROR));
        }
        if let Some(version) = &self.service_version {
            say(wire::TW_SERVICE_VERSION, line(version, MOST_OF_ERROR));
        }
        if let Some(trouble) = &self.trouble {
            say(wire::TW_ATTEMPTS, trouble.attempts.to_string());
            say(wire::TW_FIRST_FAILED, trouble.first_failed.to_string());
            say(wire::TW_LAST_FAILED, trouble.last_failed.to_string());
            say(wire::TW_ERROR_CLASS, line(&trouble.class, MOST_OF_ERROR));
            say(wire::TW_ERROR, line(&trouble.error, MOST_OF_ERROR));
            if let Some(parent) = &trouble.traceparent {
                say(wire::TRACEPARENT, line(parent, MOST_OF_ERROR));
            }
            if !trouble.chain.is_empty() {
                say(
                    wire::TW_ERROR_CHAIN,
                    line(&trouble.chain.join(BECAUSE), MOST_OF_CHAIN),
                );
            }
        }
        match &self.original {
            Some(original) => original.wrap(headers, wire::TW_ERROR_CHAIN, max_payload),
            None => Wrapped {
                headers,
                body: Bytes::new(),
                oversized: false,
            },
        }
    }

    /// Reads a record; `body` is what the object holds where [`wire::TW_OBJECT`] names one.
    ///
    /// # Errors
    /// [`UnreadableRecord`] where something else wrote it.
    pub fn read<'a>(
        headers: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
        body: &Bytes,
    ) -> Result<Self, UnreadableRecord> {
        let find = |wanted: &str| {
            let mut named = headers.clone().filter(|(name, _)| *name == wanted);
            named.next().map(|(_, value)| value)
        };
        let text = |name| find(name).map(str::to_owned);
        let act = find(wire::TW_ACT)
            .and_then(|act| act.parse().ok())
            .ok_or(UnreadableRecord::Act)?;
        let trouble = find(wire::TW_ERROR_CLASS).map(|class| {
            let time = |name| find(name).and_then(|time| time.parse().ok()).unwrap_or_default();
            Trouble {
                class: class.to_owned(),
                error: text(wire::TW_ERROR).unwrap_or_default(),
                chain: find(wire::TW_ERROR_CHAIN)
                    .map(|chain| chain.split(BECAUSE).map(str::to_owned).collect())
                    .unwrap_or_default(),
                attempts: find(wire::TW_ATTEMPTS)
                    .and_then(|n| n.parse().ok())
                    .unwrap_or_default(),
                first_failed: time(wire::TW_FIRST_FAILED),
                last_failed: time(wire::TW_LAST_FAILED),
                traceparent: text(wire::TRACEPARENT),
            }
        });
        let original = find(wire::TW_STREAM)
            .map(|_| Original::unwrap(headers.clone(), body))
            .transpose()?;
        Ok(Self {
            act,
            by: text(wire::TW_BY).unwrap_or_default(),
            reason: text(wire::TW_REASON),
            consumer: text(wire::TW_CONSUMER).unwrap_or_default(),
            service_version: text(wire::TW_SERVICE_VERSION),
            trouble,
            original,
        })
    }
}

impl Import {
    /// What an imported record has beside its own headers.
    pub fn headers(&self) -> [(Cow<'static, str>, String); 2] {
        [
            (wire::TW_IMPORTED_BY.into(), line(&self.by, MOST_OF_IMPORT)),
            (wire::TW_IMPORTED_FROM.into(), line(&self.from, MOST_OF_IMPORT)),
        ]
    }

    /// What the headers of a record say that was stored at `time`; `None` where nobody imported it.
    pub fn read<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, time: Timestamp) -> Option<Self> {
        let (mut by, mut from) = (None, String::new());
        for (name, value) in headers {
            match name {
                wire::TW_IMPORTED_BY => by = Some(value.to_owned()),
                wire::TW_IMPORTED_FROM => value.clone_into(&mut from),
                _ => {}
            }
        }
        Some(Self { by: by?, from, time })
    }
}

impl Act {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Failed, "failed"),
        (Self::Replayed, "replayed"),
        (Self::Handled, "handled"),
        (Self::Edited, "edited"),
        (Self::Discarded, "discarded"),
    ];
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(act, _)| act == self);
        f.pad(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Act {
    type Err = UnreadableRecord;

    fn from_str(text: &str) -> Result<Self, UnreadableRecord> {
        let named = Self::ALL.into_iter().find(|(_, name)| *name == text);
        named.map(|(act, _)| act).ok_or(UnreadableRecord::Act)
    }
}

/// Text as a header takes it: one line, and not longer than `most` bytes.
fn line(text: &str, most: usize) -> String {
    let text = text.trim();
    head(text, most).replace(|c: char| c.is_control(), " ")
}
