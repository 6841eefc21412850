//! The same work by hand: async-nats, serde, and nothing else.

mod ask;
mod consume;
mod live;
mod publish;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidewire::{
    BoxError, Timestamp,
    async_nats::{Client, ConnectOptions, HeaderMap, HeaderName, HeaderValue},
    wire,
};
use tidewire_ops::bench::{Measured, Workload};

/// The envelope, as somebody writes it down who needs what is in it.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    timestamp: Timestamp,
    data: T,
    metadata: Metadata,
}

#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    name: String,
    version: u32,
    source: Option<String>,
    key: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
}

impl<T> Envelope<T> {
    fn new(kind: &str, name: &str, key: &str, data: T) -> Self {
        let id = format!("{}_{}", &kind[..3], uuid::Uuid::now_v7().simple());
        Self {
            kind: kind.to_owned(),
            timestamp: now(),
            data,
            metadata: Metadata {
                name: name.to_owned(),
                version: 1,
                source: Some("raw".to_owned()),
                key: Some(key.to_owned()),
                correlation_id: Some(id.clone()),
                causation_id: None,
            },
            id,
        }
    }
}

/// A message with the headers of the wire contract: both sides send the same.
fn written<T: Serialize>(envelope: &Envelope<T>) -> Result<(HeaderMap, Bytes), BoxError> {
    let mut headers = HeaderMap::new();
    let id: HeaderValue = envelope.id.parse()?;
    headers.append(HeaderName::from_static(wire::MSG_ID), id.clone());
    headers.append(
        HeaderName::from_static(wire::TW_NAME),
        envelope.metadata.name.parse::<HeaderValue>()?,
    );
    headers.append(HeaderName::from_static(wire::TW_VERSION), HeaderValue::from(1));
    headers.append(
        HeaderName::from_static(wire::CONTENT_TYPE),
        wire::JSON.parse::<HeaderValue>()?,
    );
    headers.append(HeaderName::from_static(wire::TW_CORRELATION_ID), id);
    Ok((headers, serde_json::to_vec(envelope)?.into()))
}

/// The data of a message that is what it should be.
fn decode<T: DeserializeOwned>(payload: &[u8], name: &str) -> Result<T, BoxError> {
    let envelope: Envelope<T> = serde_json::from_slice(payload)?;
    if envelope.metadata.name != name {
        return Err(format!("{} is not {name}", envelope.metadata.name).into());
    }
    Ok(envelope.data)
}

fn now() -> Timestamp {
    Timestamp::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) async fn run(url: &str, workload: Workload, messages: u64) -> Result<Measured, BoxError> {
    let client = connect(url).await?;
    match workload {
        Workload::Live => live::run(client, messages).await,
        Workload::Ask64 => ask::at_once(client, messages).await,
        Workload::Ask1 => ask::one_by_one(client, messages).await,
        Workload::Publish => publish::run(client, messages).await,
        Workload::Consume1 => consume::one_by_one(client, messages).await,
        Workload::Consume64 => consume::at_once(client, messages).await,
        Workload::Latency => consume::latency(client, messages).await,
    }
}

async fn connect(url: &str) -> Result<Client, BoxError> {
    let options = ConnectOptions::new().subscription_capacity(64 << 10);
    Ok(options.connect(url).await?)
}
