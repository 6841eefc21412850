//! Questions to JetStream's API, and what keeps them from being answered.

use async_nats::jetstream::{ErrorCode, context::RequestErrorKind, response::Response};
use serde::{Serialize, de::DeserializeOwned};

use crate::{connection::Connection, start_error::StartError};

/// Asks the API. What the server answers with an error is the inner result; that nobody answers, that this user may
/// not ask, and that JetStream is off are named at once.
pub(super) async fn ask<T: DeserializeOwned>(
    nats: &Connection,
    question: &str,
    request: &impl Serialize,
) -> Result<Result<T, async_nats::jetstream::Error>, StartError> {
    let subject = format!("{}.{question}", nats.api_prefix());
    let js = nats.jetstream();
    let asking = js.request(question.to_owned(), request);
    let answer: Response<T> = nats.refusals().publishing(&subject, asking).await?.map_err(
        |error| match error.kind() {
            RequestErrorKind::NoResponders => StartError::NoJetStream {
                reason: format!(
                    "nobody answers `{subject}`; set `jetstream` in the server's configuration and for the \
                         account, and see that the domain, where one is given, is connected"
                ),
            },
            _ => StartError::jetstream(format!("`{subject}`: {error}")),
        },
    )?;
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
