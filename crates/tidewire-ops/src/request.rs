//! Asking a command or query without its type.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tidewire::{Connection, Kind};

use crate::{
    draft::{Draft, Wanted},
    error::OpsError,
    manifests::Manifests,
};

/// What a service answered.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// Where the message was sent.
    pub subject: String,
    /// The message's identity.
    pub id: String,
    /// The answer's data, as JSON text.
    pub data: Box<RawValue>,
}

/// Sends a command or query and awaits the answer.
///
/// Where one of the `manifests` knows the message, it says which of the two it is, and `kind`, key and data must be what
/// is declared. Where none does and no `kind` is given, it is sent as a command.
///
/// # Errors
/// [`OpsError::Ask`] where there is no answer, or a refusal; every other one says that nothing was sent.
pub async fn request(
    nats: &Connection,
    manifests: Option<&Manifests>,
    draft: Draft,
    kind: Option<Kind>,
    within: Duration,
) -> Result<Answer, OpsError> {
    let ready = draft.ready(Wanted::Request(kind), manifests)?;
    let data = nats.ask(&ready.outgoing, within).await?;
    Ok(Answer {
        subject: ready.outgoing.subject.to_string(),
        id: ready.outgoing.id.to_string(),
        data,
    })
}
