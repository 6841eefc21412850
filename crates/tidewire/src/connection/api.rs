//! Questions to JetStream's API.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    context::{RequestError, RequestErrorKind},
    response::Response,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{Connection, Refusal};

/// Why JetStream did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// This connection's user may not ask it.
    #[error(transparent)]
    NotPermitted(#[from] Refusal),
    /// The server's own answer is an error.
    #[error(transparent)]
    Answered(jetstream::Error),
    /// Nobody serves the API here.
    #[error(
        "nobody answers `{subject}`; set `jetstream` in the server's configuration and for the account, and see that the \
         domain, where one is given, is connected"
    )]
    Nobody {
        /// The subject that was asked.
        subject: String,
    },
    /// No answer came in time: the leader is being elected, or the server is away. Asking again helps.
    #[error("`{subject}` was not answered within {within:?}")]
    Unanswered {
        /// The subject that was asked.
        subject: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// The client could not ask, or could not read the answer.
    #[error("`{subject}`: {source}")]
    Failed {
        /// The subject that was asked.
        subject: String,
        /// What the client says.
        #[source]
        source: RequestError,
    },
}

impl Connection {
    /// Asks JetStream's API what the client has no call for, such as `CONSUMER.INFO.<stream>.<consumer>`, in its domain; for
    /// tools.
    ///
    /// # Errors
    /// [`ApiError`]; after [`Unanswered`](ApiError::Unanswered) the same may be asked again.
    pub async fn api<T: DeserializeOwned>(
        &self,
        question: &str,
        request: &impl Serialize,
        within: Duration,
    ) -> Result<T, ApiError> {
        let subject = format!("{}.{question}", self.api_prefix());
        let js = self.jetstream();
        // The client's own limit starts once the question is in its queue; while it is disconnected that may be never.
        let asking = timeout(within, js.request(question.to_owned(), request));
        match self.refusals().publishing(&subject, asking).await? {
            Ok(Ok(Response::Ok(answer))) => Ok(answer),
            Ok(Ok(Response::Err { error })) => Err(ApiError::Answered(error)),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                Err(ApiError::Nobody { subject })
            }
            Ok(Err(source)) if source.kind() != RequestErrorKind::TimedOut => {
                Err(ApiError::Failed { subject, source })
            }
            Ok(Err(_)) | Err(_) => Err(ApiError::Unanswered { subject, within }),
        }
    }
}
