//! Publishing an event without its type.

use std::time::Duration;

use serde::Serialize;
use tidewire::Connection;

use crate::{
    draft::{Draft, Wanted},
    error::OpsError,
    manifests::Manifests,
};

/// An event that its stream has stored.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Published {
    /// Where it was published.
    pub subject: String,
    /// Its identity.
    pub id: String,
    /// The stream that has it.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// The services whose schemas its data was found to fit; empty where none declares it, or nobody asked.
    pub checked_against: Vec<String>,
}

/// Stores an event in its context's stream, and returns once the stream has confirmed it.
///
/// Where one of the `manifests` knows the message, its kind, key and data must be what is declared.
///
/// # Errors
/// [`OpsError`]; after [`OpsError::Publish`] the event may be stored where that says so, after every other it is not.
pub async fn publish(
    nats: &Connection,
    manifests: Option<&Manifests>,
    draft: Draft,
    within: Duration,
) -> Result<Published, OpsError> {
    let ready = draft.ready(Wanted::Event, manifests)?;
    let stored = nats.publish(&ready.outgoing, within).await?;
    Ok(Published {
        subject: ready.outgoing.subject.to_string(),
        id: ready.outgoing.id.to_string(),
        stream: stored.stream,
        sequence: stored.sequence,
        checked_against: ready.checked,
    })
}
