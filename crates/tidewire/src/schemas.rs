//! What a service holds against the schemas of its messages.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tidewire_core::{EncodeError, Failure, Message, OrFail, Reply, ReplyError, RequestMessage, Validity};

use crate::{clock, headers::pairs};

/// What leaves, and the answers that come; nothing by default. What handlers take is held against the schemas in their
/// [`Route`](crate::route::Route).
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas {
    /// Messages that the service sends, and answers that it gives.
    pub(crate) sent: Option<Arc<Validity>>,
    /// Answers that it gets.
    pub(crate) answers: Option<Arc<Validity>>,
}

impl Schemas {
    /// Whether a message may be sent.
    pub(crate) fn check_sent<M: Message>(&self, message: &M) -> Result<(), EncodeError> {
        match &self.sent {
            Some(sent) => sent.check_sent(message),
            None => Ok(()),
        }
    }

    /// Whether `reply` may be given as the answer to an `M`.
    pub(crate) fn check_reply<M: RequestMessage>(&self, reply: &impl Serialize) -> Result<(), Failure> {
        let Some(sent) = &self.sent else {
            return Ok(());
        };
        let reply = serde_json::to_value(reply).or_reject()?;
        let checked = sent.check_reply(M::TYPE.name, &reply);
        checked.map_err(ReplyError::BreaksSchema).or_reject()
    }

    /// Whether an answer to the message of this name is what the schema of its declared reply says; a refusal has none.
    pub(crate) fn check_answer(&self, asked: &str, answer: &async_nats::Message) -> Result<(), ReplyError> {
        let Some(answers) = &self.answers else {
            return Ok(());
        };
        match Reply::read::<Value>(pairs(answer.headers.as_ref()), &answer.payload, clock::now())? {
            Ok(reply) => answers
                .check_reply(asked, &reply)
                .map_err(ReplyError::BreaksSchema),
            Err(_) => Ok(()),
        }
    }
}
