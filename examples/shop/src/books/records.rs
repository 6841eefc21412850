//! Everything that the shop has written down, read with the plain client.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use futures_util::TryStreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tidewire::{
    BoxError, Connection, EventMessage, Key, MessageName, SubjectFilter,
    async_nats::{
        Message,
        jetstream::{
            self,
            consumer::{AckPolicy, pull},
        },
    },
    wire,
};

use crate::{
    inventory::Decision,
    messages::{
        ItemRejected, ItemReserved, OrderPlaced, OrderStatus, PaymentFailed, PaymentProcessed,
        PaymentRequested,
    },
    payments::Charge,
};

/// All events, and every value that was ever written to a bucket, by its key.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Of orders.
    pub placed: Vec<OrderPlaced>,
    /// Of inventory.
    pub reserved: Vec<ItemReserved>,
    /// Of inventory.
    pub rejected: Vec<ItemRejected>,
    /// Of payments.
    pub processed: Vec<PaymentProcessed>,
    /// Of payments.
    pub failed: Vec<PaymentFailed>,
    /// The gateway's ledger.
    pub charges: Vec<(String, Charge)>,
    /// What inventory decided.
    pub decisions: Vec<(String, Decision)>,
    /// What is left of each item.
    pub shelves: BTreeMap<String, u32>,
    /// The orders that customers were told about.
    pub mail: Vec<String>,
    /// The orders whose payment is a dead letter, or was one, and where the letter stands.
    pub dead: BTreeMap<String, DeadLetter>,
}

/// Where a dead letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetter {
    /// It waits for somebody, or was given back to its handler and is not handled yet.
    Open,
    /// It was given back to its handler, and handled.
    Handled,
}

/// A stream or bucket that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the stream {stream} could not be read: {source}")]
pub struct ReadError {
    stream: String,
    source: BoxError,
}

/// As much of a message as an audit needs; any program that reads JSON can do the same.
#[derive(Deserialize)]
struct Body<E> {
    data: E,
}

#[derive(Deserialize)]
struct Left {
    left: u32,
}

impl Records {
    pub(super) async fn read(nats: &Connection) -> Result<Self, ReadError> {
        let js = &nats.jetstream();
        Ok(Self {
            placed: events(js).await?,
            reserved: events(js).await?,
            rejected: events(js).await?,
            processed: events(js).await?,
            failed: events(js).await?,
            charges: values(js, "SHOP_CHARGES").await?,
            decisions: values(js, "SHOP_RESERVATIONS").await?,
            shelves: values(js, "SHOP_SHELVES")
                .await?
                .into_iter()
                .map(|(sku, Left { left })| (sku, left))
                .collect(),
            mail: values::<serde::de::IgnoredAny>(js, "SHOP_NOTIFICATIONS")
                .await?
                .into_iter()
                .map(|(id, _)| id)
                .collect(),
            dead: dead_letters(js).await?,
        })
    }

    /// Whether the order's payment is a dead letter that waits: then nothing else is to be expected of it.
    pub fn waits(&self, order_id: &str) -> bool {
        self.dead.get(order_id) == Some(&DeadLetter::Open)
    }

    /// How each order ended, by the events; more than one end is a fault.
    pub fn ends(&self) -> BTreeMap<&str, Vec<OrderStatus>> {
        let paid = self
            .processed
            .iter()
            .map(|event| (&event.order_id, OrderStatus::Paid));
        let rejected = self
            .rejected
            .iter()
            .map(|event| (&event.order_id, OrderStatus::OutOfStock));
        let failed = self
            .failed
            .iter()
            .map(|event| (&event.order_id, OrderStatus::PaymentFailed));
        let mut ends: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (order_id, end) in paid.chain(rejected).chain(failed) {
            let found = ends.entry(order_id).or_default();
            // At least once: an event may be there twice.
            if !found.contains(&end) {
                found.push(end);
            }
        }
        ends
    }
}

/// All events of a type.
async fn events<E: EventMessage>(js: &jetstream::Context) -> Result<Vec<E>, ReadError> {
    let failed = |source| ReadError {
        stream: format!("of {}", E::TYPE.name),
        source,
    };
    let name = MessageName::parse(E::TYPE.name).map_err(|error| failed(error.into()))?;
    let stream = name.context_name().stream_name();
    let filter = SubjectFilter::of_message(&name, E::TYPE.keyed).to_string();
    let messages = read(js, &stream, &filter).await?;
    let parse = |message: &Message| serde_json::from_slice::<Body<E>>(&message.payload).map(|body| body.data);
    let parsed = messages.iter().map(parse).collect::<Result<_, _>>();
    parsed.map_err(|error| failed(error.into()))
}

/// All values that were ever written to a bucket: it is a stream too.
pub(crate) async fn values<T: DeserializeOwned>(
    js: &jetstream::Context,
    bucket: &str,
) -> Result<Vec<(String, T)>, ReadError> {
    let stream = format!("KV_{bucket}");
    let failed = |source| ReadError {
        stream: stream.clone(),
        source,
    };
    let prefix = format!("$KV.{bucket}.");
    let mut values = Vec::new();
    for Message { subject, payload, .. } in read(js, &stream, &format!("{prefix}>")).await? {
        let token = subject.strip_prefix(&prefix).unwrap_or(&subject);
        let key = Key::parse_token(token).map_err(|error| failed(error.into()))?;
        let value = serde_json::from_slice(&payload).map_err(|error| failed(error.into()))?;
        values.push((key.text().into_owned(), value));
    }
    Ok(values)
}

/// The dead letters of the payments. The first record of a letter is the message, the last one says where it stands.
async fn dead_letters(js: &jetstream::Context) -> Result<BTreeMap<String, DeadLetter>, ReadError> {
    let stream = wire::DLQ_STREAM;
    let failed = |source| ReadError {
        stream: stream.into(),
        source,
    };
    let mut orders = HashMap::new();
    let mut dead = BTreeMap::new();
    for record in read(js, stream, &wire::letter_subject("payments", "charge", "*")).await? {
        let headers = record.headers.unwrap_or_default();
        let order_id: &String = match orders.entry(record.subject.to_string()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let message: Body<PaymentRequested> =
                    serde_json::from_slice(&record.payload).map_err(|error| failed(error.into()))?;
                new.insert(message.data.order_id)
            }
        };
        let handled = headers
            .get(wire::TW_ACT)
            .is_some_and(|act| act.as_str() == "handled");
        let state = if handled {
            DeadLetter::Handled
        } else {
            DeadLetter::Open
        };
        dead.insert(order_id.clone(), state);
    }
    Ok(dead)
}

/// Every message that matches, oldest first.
async fn read(js: &jetstream::Context, stream: &str, filter: &str) -> Result<Vec<Message>, ReadError> {
    let failed = |source| ReadError {
        stream: stream.into(),
        source,
    };
    let config = pull::Config {
        filter_subject: filter.into(),
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    };
    let found = js
        .get_stream_no_info(stream)
        .await
        .map_err(|error| failed(error.into()))?;
    let reader = found
        .create_consumer(config)
        .await
        .map_err(|error| failed(error.into()))?;
    let there = usize::try_from(reader.cached_info().num_pending).unwrap_or(usize::MAX);
    let mut messages = Vec::with_capacity(there.min(100_000));
    while messages.len() < there {
        let batch = reader
            .fetch()
            .max_messages(500)
            .messages()
            .await
            .map_err(|error| failed(error.into()))?;
        let before = messages.len();
        let batch: Vec<_> = batch
            .map_ok(|message| message.message)
            .try_collect()
            .await
            .map_err(failed)?;
        messages.extend(batch);
        if messages.len() == before {
            return Err(failed(format!("it gave {before} of {there} messages").into()));
        }
    }
    Ok(messages)
}
