//! Questions to JetStream's API, and what keeps them from being answered.

use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    connection::{ApiError, Connection},
    start_error::StartError,
};

/// How long an answer is awaited: while a stream has no leader nobody answers for it, and asking again is what helps.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// Asks the API. What the server answers with an error is the inner result; that nobody answers, that this user may
/// not ask, and that JetStream is off are named at once.
pub(super) async fn ask<T: DeserializeOwned>(
    nats: &Connection,
    question: &str,
    request: &impl Serialize,
) -> Result<Result<T, jetstream::Error>, StartError> {
    let error = match nats.api(question, request, ANSWERED_WITHIN).await {
        Ok(answer) => return Ok(Ok(answer)),
        Err(ApiError::Answered(error)) => error,
        Err(ApiError::NotPermitted(refusal)) => return Err(refusal.into()),
        Err(error @ ApiError::Nobody { .. }) => {
            return Err(StartError::NoJetStream {
                reason: error.to_string(),
            });
        }
        Err(error) => return Err(StartError::jetstream(error.to_string())),
    };
    match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => Err(StartError::NoJetStream {
            reason: "the account has it off; set `jetstream: enabled` for the account".into(),
        }),
        ErrorCode::JETSTREAM_NOT_ENABLED => Err(StartError::NoJetStream {
            reason: "the server has it off; set `jetstream` in the server's configuration".into(),
        }),
        _ => Ok(Err(error)),
    }
}
