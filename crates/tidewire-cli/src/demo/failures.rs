//! What the services tell of their failures while they happen: error events, and the records of dead letters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream::select};
use serde::Deserialize;
use tidewire::{
    async_nats::{Client, HeaderValue, Message},
    wire,
};

use super::error::DemoError;

/// The counts so far.
#[derive(Clone, Debug)]
pub(super) struct Failures(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    /// Attempts that failed and are tried again, by the class of the error.
    retries: BTreeMap<String, u64>,
    /// The subjects of all letters.
    letters: BTreeSet<String>,
    /// Of those that wait.
    open: BTreeSet<String>,
}

/// As much of an error event as is counted.
#[derive(Deserialize)]
struct Event {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    code: String,
    details: Details,
}

#[derive(Deserialize)]
struct Details {
    then: String,
}

impl Failures {
    /// Counts from now on, until the connection ends.
    pub(super) async fn listen(nats: &Client) -> Result<Self, DemoError> {
        let failed = |error: tidewire::async_nats::SubscribeError| DemoError::Connection(error.to_string());
        let errors = nats.subscribe("errors.>").await.map_err(failed)?;
        let records = nats.subscribe("dlq.>").await.map_err(failed)?;
        let counts = Arc::<Mutex<Counts>>::default();
        let counted = Self(counts.clone());
        tokio::spawn(async move {
            let mut messages = select(errors, records);
            while let Some(message) = messages.next().await {
                lock(&counts).hear(&message);
            }
        });
        Ok(counted)
    }

    /// Attempts that failed and are tried again, by the class of the error.
    pub(super) fn retries(&self) -> BTreeMap<String, u64> {
        lock(&self.0).retries.clone()
    }

    /// Dead letters in all.
    pub(super) fn letters(&self) -> usize {
        lock(&self.0).letters.len()
    }

    /// Dead letters that wait.
    pub(super) fn open_letters(&self) -> usize {
        lock(&self.0).open.len()
    }
}

impl Counts {
    fn hear(&mut self, message: &Message) {
        let subject = message.subject.as_str();
        let act = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(wire::TW_ACT));
        match act.map(HeaderValue::as_str) {
            Some("handled" | "discarded") => drop(self.open.remove(subject)),
            Some(_) => {
                self.letters.insert(subject.to_owned());
                self.open.insert(subject.to_owned());
            }
            None => {
                if let Ok(Event { data }) = serde_json::from_slice::<Event>(&message.payload)
                    && data.details.then == "retry"
                {
                    *self.retries.entry(data.code).or_default() += 1;
                }
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
