//! Which instances of services run, by the NATS services protocol.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tidewire::{Connection, async_nats::StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::{api::round_trip, error::OpsError};

/// How long the first answer is awaited: where nobody hears the question, the server says so at once.
pub(crate) const FIRST_WITHIN: Duration = Duration::from_secs(4);
/// How long the next one is at least: whoever runs answers at once, and on a machine that is busy in a fifth of a second.
const NEXT_WITHIN: Duration = Duration::from_millis(500);
/// How many times as long as the first one took: where the way is long, or the machine slow, the others need that too.
const TIMES: u32 = 4;

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

/// Asks who runs, and returns when nobody has answered for half a second, or for four times as long as the first answer
/// took; at once where nobody hears the question.
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
    let asked = Instant::now();
    let mut deadline = asked + FIRST_WITHIN;
    let mut next_within = None;
    while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
        is_nobody = answer.status == Some(StatusCode::NO_RESPONDERS);
        if is_nobody {
            break;
        }
        // Whatever else answers there is no service.
        found.extend(serde_json::from_slice::<Instance>(&answer.payload));
        let took = || (asked.elapsed() * TIMES).clamp(NEXT_WITHIN, FIRST_WITHIN);
        deadline = Instant::now() + *next_within.get_or_insert_with(took);
    }
    if found.is_empty() && !is_nobody {
        // A server that hangs looks the same as services that say nothing.
        round_trip(nats).await?;
    }
    found.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(found)
}
