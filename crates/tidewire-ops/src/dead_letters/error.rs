//! Why a dead letter is not read, or nothing is done about it.

use tidewire::{
    Refusal,
    dead_letter::{LetterId, LetterState},
};

use super::listed::state_name;

/// Why a dead letter is not read, or nothing is done about it; the text says what, where and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LetterError {
    /// There is no stream of dead letters yet.
    #[error("no dead letters: the stream TIDEWIRE_DLQ does not exist yet; it is made when a service starts")]
    NoStream,
    /// Nothing has this id, and no group has it.
    #[error("no dead letter and no group of them is `{what}`; `tidewire dlq ls --all` shows what there is")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// Somebody did something about the letter since it was read; nothing was done.
    #[error(
        "somebody else acted on the letter {letter} first, and it is {} now; nothing was done, look at it again with \
         `tidewire dlq show {letter}`",
        state_name(*.state)
    )]
    Outrun {
        /// The letter.
        letter: LetterId,
        /// Where it stands now.
        state: LetterState,
    },
    /// The letter stands where this cannot be done.
    #[error("the letter {letter} is {}, and only an open one can be {done}; {remedy}", state_name(*.state))]
    NotOpen {
        /// The letter.
        letter: LetterId,
        /// Where it stands.
        state: LetterState,
        /// What was to be done.
        done: &'static str,
        /// What can be done instead.
        remedy: &'static str,
    },
    /// A record that cannot be read.
    #[error(
        "the message {sequence} of TIDEWIRE_DLQ, on `{subject}`, is no record that can be read: {reason}; upgrade this \
         command, for a newer Tidewire may have written it"
    )]
    Unreadable {
        /// Its subject.
        subject: String,
        /// Its place in the stream.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// What is too large for a message is not where the message says.
    #[error(
        "the object `{object}` of the bucket TIDEWIRE_LETTERS cannot be {done}: {reason}; see that the bucket is there and has \
         room, and that this user may use it"
    )]
    Object {
        /// Its name.
        object: String,
        /// What was to be done with it.
        done: &'static str,
        /// What the client says.
        reason: String,
    },
    /// A stream did not store a message, or did not say so.
    #[error("{subject} was not stored: {reason}; run the same again, which does nothing twice")]
    NotStored {
        /// Where it was sent.
        subject: String,
        /// Why.
        reason: String,
    },
    /// The service has no stream of its own, through which its handlers hear a letter again.
    #[error(
        "the service {service} has no stream {stream}, through which its handlers hear letters again; start the service, \
         which makes it"
    )]
    NoServiceStream {
        /// The service.
        service: String,
        /// The stream that it makes.
        stream: String,
    },
    /// The message cannot be published to its subject again.
    #[error(
        "the letter {letter} cannot be published to `{subject}` again: {reason}; replay it to its handler instead"
    )]
    NotForItsSubject {
        /// The letter.
        letter: LetterId,
        /// The original's subject.
        subject: String,
        /// Why.
        reason: String,
    },
    /// This connection's user may not publish where the message was to go; nothing was sent.
    #[error("the letter {letter} was not sent: {refusal}; then replay it again")]
    NotPermitted {
        /// The letter.
        letter: LetterId,
        /// What the server refused.
        refusal: Refusal,
    },
    /// The letter was claimed for the other way of replaying, which was not brought to an end.
    #[error("the letter {letter} is being replayed already, {}; run `tidewire dlq replay {letter}{}`", way(*.to_subject), flag(*.to_subject))]
    ClaimedOtherwise {
        /// The letter.
        letter: LetterId,
        /// Whether it is being published to its subject, and not given to its handler.
        to_subject: bool,
    },
    /// The subject's stream had a message with the new id before.
    #[error(
        "{stream} has a message with the id `{id}` already, at {sequence}, and stored nothing; look at that message \
         with `nats stream get {stream} {sequence}`"
    )]
    Duplicate {
        /// The stream.
        stream: String,
        /// The message's place.
        sequence: u64,
        /// The id.
        id: String,
    },
    /// A change that cannot be made to the payload.
    #[error("the payload cannot be changed so: {0}; mend the patch, or give a whole payload by --set FILE")]
    Change(String),
    /// A line of an export that cannot be read.
    #[error(
        "line {line} is no dead letter as `tidewire dlq export` writes it: {reason}; export it again, or take the line out, \
         and import the rest: nothing is imported twice"
    )]
    Import {
        /// The line, counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

fn way(to_subject: bool) -> &'static str {
    if to_subject {
        "to its subject"
    } else {
        "to its handler"
    }
}

fn flag(to_subject: bool) -> &'static str {
    if to_subject { " --to-subject" } else { "" }
}
