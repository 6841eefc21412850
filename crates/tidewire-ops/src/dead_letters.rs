//! What could not be handled: looked at, given back, changed, given up, carried elsewhere.
//!
//! A letter and its records are [`tidewire::dead_letter`]'s. Here they are read from their stream, and each act is one more
//! record, guarded by the place of the last: of two who act at once only one does.

mod append;
mod attempts;
mod decode;
mod discard;
mod edit;
mod error;
mod export;
#[cfg(test)]
mod fixtures;
mod group;
mod import;
mod listed;
mod read;
mod replay;
mod selection;
mod view;

use tidewire::{
    Connection,
    async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind, stream::Stream},
    dead_letter::{Act, Record},
    wire,
};

use crate::error::OpsError;
pub use attempts::AttemptView;
pub use discard::Discarded;
pub use edit::{Edit, Edited};
pub use error::LetterError;
pub use export::Exported;
pub use group::{Group, groups};
pub use import::Imported;
pub use listed::{Listed, Listing, Unreadable, state_name};
pub use replay::{Replay, ReplayEnd, Replayed};
pub use selection::Selection;
pub use view::{LetterView, Message, RecordView};

/// The stream of dead letters, and who acts on them.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    nats: Connection,
    stream: Stream<()>,
    /// In the `Tw-By` of each act.
    by: String,
}

impl DeadLetters {
    /// The dead letters of the account; acts on them are recorded as done `by` this person with this program.
    ///
    /// # Errors
    /// [`LetterError::NoStream`] where no service has made the stream yet, and [`OpsError`] where JetStream does not answer.
    pub async fn open(nats: &Connection, by: impl Into<String>) -> Result<Self, OpsError> {
        if !is_there(nats, wire::DLQ_STREAM).await? {
            return Err(LetterError::NoStream.into());
        }
        Ok(Self {
            nats: nats.clone(),
            stream: crate::api::handle(nats, wire::DLQ_STREAM).await?,
            by: by.into(),
        })
    }

    /// An act of a person on a letter.
    fn act(&self, act: Act, consumer: &str, reason: Option<&str>) -> Record {
        Record {
            act,
            by: self.by.clone(),
            reason: reason.map(str::to_owned),
            consumer: consumer.to_owned(),
            service_version: None,
            trouble: None,
            original: None,
        }
    }
}

/// Whether there is such a stream.
pub(super) async fn is_there(nats: &Connection, stream: &str) -> Result<bool, OpsError> {
    let js = nats.jetstream();
    let asked = format!("$JS.API.STREAM.INFO.{stream}");
    match nats.unless_refused(&[asked], js.get_stream(stream)).await? {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(api) if api.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(false)
            }
            _ => Err(OpsError::jetstream(
                format!("look for the stream {stream}"),
                error,
            )),
        },
    }
}
