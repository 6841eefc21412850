//! One effect for one message, however often it is delivered or published.

use std::{borrow::Cow, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use tidewire_core::{BoxError, Failure, Identity, MessageId, OrFail, Outgoing, wire};

use crate::{
    bucket::{Bucket, Expect},
    connection::Connection,
    start_error::StartError,
};

/// How long it is remembered that a message was handled, and what it led to.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Room for the headers of a record.
const ROOM: usize = 1 << 10;

/// What one durable has handled: the record of a message is the one point at which its outputs become true.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    bucket: Bucket,
    durable: Arc<str>,
}

/// What is known of a message.
#[derive(Debug)]
pub(crate) enum Found {
    /// It was handled, and led to this.
    Handled(Vec<Outgoing>),
    /// It was not; whoever says that it was expects the key's sequence.
    New(u64),
}

/// A message that is sent, on record.
#[derive(Serialize, Deserialize)]
struct Output {
    subject: String,
    id: MessageId,
    headers: Vec<(String, String)>,
    body: String,
    /// Whether it goes to a queue.
    #[serde(default)]
    queued: bool,
}

impl Inbox {
    /// The bucket of a service, made where there is none.
    pub(crate) async fn bucket(
        nats: &Connection,
        service: &str,
        replicas: usize,
    ) -> Result<Bucket, StartError> {
        let description = format!("what {service} has handled, and what it led to");
        Bucket::of_service(nats, wire::inbox_bucket(service), description, replicas).await
    }

    pub(crate) fn new(bucket: Bucket, durable: Arc<str>) -> Self {
        Self { bucket, durable }
    }

    /// Whether a message was handled before.
    pub(crate) async fn find(&self, identity: &Identity) -> Result<Found, Failure> {
        Ok(
            match self.bucket.get(&self.key(identity)).await.or_unavailable()? {
                None => Found::New(0),
                Some(entry) => match entry.value {
                    None => Found::New(entry.sequence),
                    Some(value) => Found::Handled(read(&value).or_reject()?),
                },
            },
        )
    }

    /// Says that a message was handled and led to `outputs`; what is on record where somebody else was first. From then
    /// on whoever handles it sends what is on record.
    pub(crate) async fn commit(
        &self,
        identity: &Identity,
        expected: u64,
        outputs: Vec<Outgoing>,
    ) -> Result<Vec<Outgoing>, Failure> {
        let key = self.key(identity);
        let value = serde_json::to_vec(&outputs.iter().map(written).collect::<Vec<_>>()).or_reject()?;
        let (size, most) = (value.len() + ROOM, self.bucket.max_payload());
        if size > most {
            let text = format!(
                "what the handler sends for this message takes {size} bytes on record and the server takes {most}; send less \
                 for one message, or do without `.effectively_once()`"
            );
            return Err(text).or_reject();
        }
        let put = self
            .bucket
            .put(&key, value.into(), Expect::Sequence(expected), REMEMBERED);
        // The message is not at fault: nothing is spent on it.
        let put = put.await.or_unavailable()?;
        if put.is_some() {
            tracing::trace!(target: "tidewire::walk", "committed");
            return Ok(outputs);
        }
        match self.find(identity).await? {
            Found::Handled(recorded) => Ok(recorded),
            Found::New(_) => {
                Err("the record of a handled message ended while it was looked at").or_unavailable()
            }
        }
    }

    fn key(&self, identity: &Identity) -> String {
        format!("{}.{identity}", self.durable)
    }
}

fn written(outgoing: &Outgoing) -> Output {
    let header = |(name, value): &(Cow<'static, str>, String)| (name.to_string(), value.clone());
    Output {
        subject: outgoing.subject.to_string(),
        id: outgoing.id.clone(),
        headers: outgoing.headers.iter().map(header).collect(),
        body: BASE64_STANDARD.encode(&outgoing.body),
        queued: outgoing.queued,
    }
}

fn read(value: &[u8]) -> Result<Vec<Outgoing>, BoxError> {
    let outputs: Vec<Output> = serde_json::from_slice(value)?;
    let outgoing = |output: Output| {
        Ok(Outgoing {
            subject: output.subject.parse()?,
            id: output.id,
            headers: output
                .headers
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            body: BASE64_STANDARD.decode(output.body)?.into(),
            queued: output.queued,
        })
    };
    outputs.into_iter().map(outgoing).collect()
}
