//! Which instances of services run, by the NATS services protocol.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tidewire::{Connection, async_nats::StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::{api::round_trip, error::OpsError};

/// How long the first answer is awaited.
const FIRST_WITHIN: Duration = Duration::from_millis(750);
/// How long the next one is: whoever runs answers at once, and on a machine that is busy in a fifth of a second.
const NEXT_WITHIN: Duration = Duration::from_millis(500);

/// One running instance of a service, ours or anybody's, as it says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// The service.
    pub name: String,
    /// The instance.
    pub id: String,
    /// The service's version.
    #[serde(default)]
    pub version: String,
    /// `tidewire.contract` is one of ours.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What it answers.
    #[serde(default)]
    pub endpoints: Vec<InstanceEndpoint>,
}

/// What an instance answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceEndpoint {
    /// The endpoint's name.
    pub name: String,
    /// What it hears.
    pub subject: String,
    /// The group whose members share the requests.
    #[serde(default)]
    pub queue_group: String,
    /// `tidewire.kind` and more, where it is one of ours.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Asks who runs, and returns when nobody has answered for a while, which is within six seconds where few do.
///
/// # Errors
/// [`OpsError::NotPermitted`], or [`OpsError::Connection`], also where the server does not answer.
pub async fn instances(nats: &Connection) -> Result<Vec<Instance>, OpsError> {
    nats.unless_refused(&["$SRV.INFO"], ask(nats)).await?
}

async fn ask(nats: &Connection) -> Result<Vec<Instance>, OpsError> {
    let client = nats.client();
    let failed = |error: tidewire::BoxError| OpsError::Connection(error);
    let inbox = client.new_inbox();
    let mut answers = client
        .subscribe(inbox.clone())
        .await
        .map_err(|error| failed(error.into()))?;
    client
        .publish_with_reply("$SRV.INFO", inbox, bytes::Bytes::new())
        .await
        .map_err(|error| failed(error.into()))?;
    let mut found: Vec<Instance> = Vec::new();
    let mut is_nobody = false;
    let mut deadline = Instant::now() + FIRST_WITHIN;
    while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
        is_nobody = answer.status == Some(StatusCode::NO_RESPONDERS);
        if is_nobody {
            break;
        }
        // Whatever else answers there is no service.
        found.extend(serde_json::from_slice::<Instance>(&answer.payload));
        deadline = Instant::now() + NEXT_WITHIN;
    }
    if found.is_empty() && !is_nobody {
        // A server that hangs looks the same as services that say nothing.
        round_trip(nats).await?;
    }
    found.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(found)
}
