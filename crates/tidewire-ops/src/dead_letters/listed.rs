//! A dead letter in a list: all but the message itself.

use serde::{Serialize, Serializer};
use tidewire::{
    Timestamp,
    dead_letter::{Letter, LetterId, LetterState},
};

/// A dead letter without its message, as the headers of its records tell it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Listed {
    /// Its id.
    #[serde(serialize_with = "as_text")]
    pub letter: LetterId,
    /// What groups it with its like.
    pub group: String,
    /// The service that could not handle it.
    pub service: String,
    /// The durable that could not.
    pub durable: String,
    /// Where it stands.
    #[serde(serialize_with = "as_state")]
    pub state: LetterState,
    /// Where the message was sent to.
    pub subject: String,
    /// The message's name, where its subject is one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The message's key, where its subject is one of ours and has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The message's stream.
    pub stream: String,
    /// Its place there.
    pub sequence: u64,
    /// The class of the last error.
    pub class: String,
    /// What the last error says.
    pub error: String,
    /// How often it was tried, replays included.
    pub attempts: u32,
    /// When the first attempt failed.
    pub first_failed: Timestamp,
    /// When the last attempt failed.
    pub last_failed: Timestamp,
    /// How many records it has.
    pub records: usize,
    /// The place of the last one, which the next act expects.
    pub last_record: u64,
    /// The handler's consumer on the original's stream.
    #[serde(skip)]
    pub(super) consumer: String,
}

/// What a stream of dead letters holds.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Listing {
    /// The letters, in the order of their messages: by stream and place.
    pub letters: Vec<Listed>,
    /// What lies among them and cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A message in the stream of dead letters that is no record, or a letter with such a one.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Unreadable {
    /// Its subject.
    pub subject: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// Why it cannot be read.
    pub reason: String,
}

impl Listed {
    /// What is known of a letter without the bodies of its records.
    pub(super) fn of(letter: &Letter) -> Option<Self> {
        let original = letter.original()?;
        let trouble = letter.trouble();
        let first = letter.records().first()?;
        let failed = |time: Option<Timestamp>| time.unwrap_or(first.time);
        Some(Self {
            letter: letter.id.clone(),
            group: letter.fingerprint(),
            service: letter.service.clone(),
            durable: letter.durable.clone(),
            state: letter.state(),
            subject: original.subject.clone(),
            name: letter.name(),
            key: letter.key(),
            stream: original.stream.clone(),
            sequence: original.sequence,
            class: trouble.map(|trouble| trouble.class.clone()).unwrap_or_default(),
            error: trouble.map(|trouble| trouble.error.clone()).unwrap_or_default(),
            attempts: trouble.map_or(0, |trouble| trouble.attempts),
            first_failed: failed(trouble.map(|trouble| trouble.first_failed)),
            last_failed: failed(trouble.map(|trouble| trouble.last_failed)),
            records: letter.records().len(),
            last_record: letter.last_sequence(),
            consumer: first.record.consumer.clone(),
        })
    }
}

/// The word for where a letter stands.
pub fn state_name(state: LetterState) -> &'static str {
    match state {
        LetterState::Open => "open",
        LetterState::Replaying => "replaying",
        LetterState::Handled => "handled",
        LetterState::Discarded => "discarded",
    }
}

pub(super) fn as_text<S: Serializer>(id: &LetterId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
pub(super) fn as_state<S: Serializer>(state: &LetterState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state_name(*state))
}
