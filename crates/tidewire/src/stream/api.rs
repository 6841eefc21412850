//! Questions to JetStream's API, and what keeps them from being answered.

use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode, context::RequestErrorKind, response::Response};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{connection::Connection, start_error::StartError};

/// How long an answer is awaited: while a stream has no leader nobody answers for it, and asking again is what helps.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// Asks the API. What the server answers with an error is the inner result; that nobody answers, that this user may
/// not ask, and that JetStream is off are named at once.
pub(super) async fn ask<T: DeserializeOwned>(
    nats: &Connection,
    question: &str,
    request: &impl Serialize,
) -> Result<Result<T, jetstream::Error>, StartError> {
    let subject = format!("{}.{question}", nats.api_prefix());
    let js = nats.jetstream();
    // The client's own limit starts once the question is in its queue; while it is disconnected that may be never.
    let asking = timeout(ANSWERED_WITHIN, js.request(question.to_owned(), request));
    let answer: Response<T> = match nats.refusals().publishing(&subject, asking).await? {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            return Err(StartError::NoJetStream {
                reason: format!(
                    "nobody answers `{subject}`; set `jetstream` in the server's configuration and for the account, \
                     and see that the domain, where one is given, is connected"
                ),
            });
        }
        Ok(Err(error)) if error.kind() != RequestErrorKind::TimedOut => {
            return Err(StartError::jetstream(format!("`{subject}`: {error}")));
        }
        Ok(Err(_)) | Err(_) => {
            let text = format!("`{subject}` was not answered within {ANSWERED_WITHIN:?}");
            return Err(StartError::jetstream(text));
        }
    };
    match answer {
        Response::Ok(answer) => Ok(Ok(answer)),
        Response::Err { error } => match error.error_code() {
            ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => Err(StartError::NoJetStream {
                reason: "the account has it off; set `jetstream: enabled` for the account".into(),
            }),
            ErrorCode::JETSTREAM_NOT_ENABLED => Err(StartError::NoJetStream {
                reason: "the server has it off; set `jetstream` in the server's configuration".into(),
            }),
            _ => Ok(Err(error)),
        },
    }
}
