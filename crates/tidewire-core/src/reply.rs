//! Answers to commands and queries.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tidewire_subject::Subject;

use crate::{
    DecodeError, EncodeError, Envelope, Extras, InvalidJson, Kind, Mismatch, Outgoing, Stamp, Timestamp,
    parsed::Parsed, wire,
};

/// The `data` of an error answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, as a word that programs compare.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// Whatever helps the caller.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// Writes the answer to one request.
#[derive(Debug)]
pub struct Reply {
    subject: Subject,
    version: u32,
    key: Option<String>,
    stamp: Stamp,
}

/// An answer that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The body is not an answer.
    #[error("the answer is not a reply: {0}")]
    Malformed(#[source] DecodeError),
    /// The data does not fit the declared reply.
    #[error("the answer's data does not fit the declared reply type: {0}")]
    Invalid(#[source] InvalidJson),
    /// The data breaks the schema of the declared reply.
    #[error("the answer's data breaks the schema of the declared reply: {0}")]
    BreaksSchema(#[source] Mismatch),
    /// The envelope is of another type.
    #[error("the answer came with type `{0}`; a service answers with `reply` or `error`")]
    WrongKind(Kind),
}

impl Reply {
    /// An answer to `request`; its stamp's correlation and causation are the request's.
    pub fn to(request: &Envelope, stamp: Stamp) -> Self {
        let encoded = request.encoded();
        let stamp = Stamp {
            correlation_id: Some(request.correlation_id().to_owned()),
            causation_id: Some(request.id.to_string()),
            ..stamp
        };
        let key = encoded.key.map(Into::into);
        Self {
            subject: request.subject.clone(),
            version: encoded.version,
            key,
            stamp,
        }
    }

    /// An answer to a request on `subject` whose envelope could not be read.
    pub fn to_unreadable(subject: Subject, stamp: Stamp) -> Self {
        let key = subject.key().map(|key| key.text().into_owned());
        Self {
            subject,
            version: 1,
            key,
            stamp,
        }
    }

    /// The answer that was asked for.
    ///
    /// # Errors
    /// [`EncodeError::Data`] where `data` cannot be written as JSON.
    pub fn data<R: Serialize>(self, data: &R) -> Result<Outgoing, EncodeError> {
        self.write(Kind::Reply, data)
    }

    /// The refusal, with the headers of the NATS services protocol.
    ///
    /// # Errors
    /// [`EncodeError::Data`] where the details cannot be written as JSON.
    pub fn error(self, error: &ErrorBody) -> Result<Outgoing, EncodeError> {
        let mut outgoing = self.write(Kind::Error, error)?;
        let line = error.message.replace(['\r', '\n'], " ");
        outgoing.headers.push((wire::SERVICE_ERROR.into(), line));
        let code = if error.retryable { 503 } else { 422 };
        outgoing
            .headers
            .push((wire::SERVICE_ERROR_CODE.into(), code.to_string()));
        Ok(outgoing)
    }

    fn write<D: Serialize>(self, kind: Kind, data: &D) -> Result<Outgoing, EncodeError> {
        let extras = Extras::default();
        Outgoing::write(
            kind,
            self.subject,
            self.version,
            self.key,
            data,
            self.stamp,
            extras,
        )
    }

    /// What an answer says, in whichever format its `headers` say: the reply, or the error that the service gave
    /// instead. `received` is its time where it names none itself.
    ///
    /// # Errors
    /// [`ReplyError`] where it is neither.
    pub fn read<'a, R: DeserializeOwned>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        payload: &[u8],
        received: Timestamp,
    ) -> Result<Result<R, ErrorBody>, ReplyError> {
        let parsed = Parsed::read(headers, payload, received).map_err(ReplyError::Malformed)?;
        let data = parsed.data.get();
        let invalid = |error: serde_json::Error| ReplyError::Invalid(error.into());
        match parsed.kind {
            Kind::Reply => serde_json::from_str(data).map(Ok).map_err(invalid),
            Kind::Error => serde_json::from_str(data).map(Err).map_err(invalid),
            other => Err(ReplyError::WrongKind(other)),
        }
    }
}
