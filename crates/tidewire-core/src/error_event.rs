//! An error as an event, for whoever watches.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ErrorBody, Kind, MessageId, Stamp, Timestamp};

/// One failed attempt, as it is told on `errors.<service>.<durable>`: an envelope of type `error` whose data is that of
/// an error answer.
///
/// It is told and not promised: what must not be lost is in the dead letters.
#[derive(Clone, Debug)]
pub struct ErrorEvent {
    /// The service that failed.
    pub service: String,
    /// The durable that failed.
    pub durable: String,
    /// The class of the error.
    pub class: String,
    /// What the error says.
    pub error: String,
    /// Where the message was sent to.
    pub subject: String,
    /// The message's stream.
    pub stream: String,
    /// The message's place in it.
    pub sequence: u64,
    /// The number of the run.
    pub attempt: u32,
    /// What follows: `retry`, `hold`, `dead_letter` or `discard`; `kept_unacknowledged` where the letter cannot be stored;
    /// `given_up` where the consumer is another client's, whose `max_deliver` is reached.
    pub then: &'static str,
    /// The dead letter that it is or becomes; empty where there is none.
    pub letter: String,
}

/// The envelope, in this order: a line of a terminal shows the beginning, and there the message belongs.
#[derive(Serialize)]
struct Told<'a> {
    r#type: Kind,
    id: &'a MessageId,
    timestamp: Timestamp,
    data: ErrorBody,
    metadata: Value,
}

impl ErrorEvent {
    /// The body, of a message that is stamped so: it follows from the one that failed.
    pub fn body(&self, stamp: &Stamp) -> Bytes {
        let told = Told {
            r#type: Kind::Error,
            id: &stamp.id,
            timestamp: stamp.timestamp,
            data: ErrorBody {
                code: self.class.clone(),
                message: self.error.clone(),
                retryable: matches!(self.then, "retry" | "hold"),
                details: json!({
                    "durable": self.durable,
                    "subject": self.subject,
                    "stream": self.stream,
                    "sequence": self.sequence,
                    "attempt": self.attempt,
                    "then": self.then,
                    "letter": self.letter,
                }),
            },
            metadata: json!({
                "name": format!("errors.{}.{}", self.service, self.durable),
                "version": 1,
                "source": stamp.source,
                "correlation_id": stamp.correlation_id,
                "causation_id": stamp.causation_id,
            }),
        };
        // Texts and numbers alone: nothing in it cannot be written.
        serde_json::to_vec(&told).unwrap_or_default().into()
    }
}
