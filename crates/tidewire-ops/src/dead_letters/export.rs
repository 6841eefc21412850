//! Letters as lines of text, to be kept or carried elsewhere.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidewire::{Timestamp, wire};

use super::{
    DeadLetters, Listed,
    read::{Whole, recorded},
};
use crate::error::OpsError;

/// The form of the lines.
pub(super) const FORM: u32 = 1;

/// A letter with all of its records, as one line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The form of this line: 1.
    pub(super) dead_letter: u32,
    pub(super) letter: String,
    pub(super) service: String,
    pub(super) durable: String,
    pub(super) records: Vec<ExportedRecord>,
}

/// A record as it is stored, but for what its stream wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExportedRecord {
    pub(super) time: Timestamp,
    pub(super) headers: Vec<(String, String)>,
    #[serde(flatten)]
    pub(super) body: Body,
}

/// A body without loss: text where it is that, else base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    Text(String),
    Base64(String),
}

impl DeadLetters {
    /// A letter with all of its records; bodies that lie in the object store are in it.
    ///
    /// # Errors
    /// [`OpsError`] where the stream or the object store cannot be read.
    pub async fn export(&self, letter: &Listed) -> Result<Exported, OpsError> {
        let records = self.records(&letter.subject_of_records()).await?;
        Ok(Exported {
            dead_letter: FORM,
            letter: letter.letter.to_string(),
            service: letter.service.clone(),
            durable: letter.durable.clone(),
            records: records.into_iter().map(ExportedRecord::of).collect(),
        })
    }
}

impl ExportedRecord {
    pub(super) fn of(whole: Whole) -> Self {
        let time = recorded(&whole.headers, whole.time);
        Self {
            time,
            headers: whole
                .headers
                .into_iter()
                .filter(|(name, _)| is_kept(name))
                .collect(),
            body: Body::of(&whole.body),
        }
    }
}

/// What told the stream how to store the record is of that stream, and the place of a body is of that object store.
pub(super) fn is_kept(name: &str) -> bool {
    let is_nats = name
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
    !is_nats
        && ![
            wire::TW_OBJECT,
            wire::TW_RECORDED,
            wire::TW_IMPORTED_BY,
            wire::TW_IMPORTED_FROM,
        ]
        .contains(&name)
}

impl Body {
    fn of(body: &Bytes) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(BASE64_STANDARD.encode(body)),
        }
    }

    pub(super) fn bytes(&self) -> Result<Bytes, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.clone().into()),
            Self::Base64(text) => Ok(BASE64_STANDARD.decode(text)?.into()),
        }
    }
}
