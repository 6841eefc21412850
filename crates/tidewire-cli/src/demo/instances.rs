//! What the running services say of themselves by the NATS services protocol, `$SRV`.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use serde::Deserialize;
use tidewire::async_nats::{Client, Subscriber};
use tokio::time::{Instant, timeout_at};

use super::{children::CAST, error::DemoError};

/// How long answers to one question are awaited; they take a millisecond.
const ANSWERED_WITHIN: Duration = Duration::from_millis(250);

/// Everybody who ever answered, by instance id.
#[derive(Debug)]
pub(super) struct Instances {
    nats: Client,
    inbox: String,
    answers: Subscriber,
    known: BTreeMap<String, Instance>,
}

/// One instance of a service, as it said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Instance {
    pub(super) service: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// Whether it answered the last question.
    pub(super) answers: bool,
}

/// An answer to PING or STATS; the former has no endpoints.
#[derive(Deserialize)]
struct Answer {
    name: String,
    id: String,
    #[serde(default)]
    endpoints: Vec<Figures>,
}

#[derive(Deserialize)]
struct Figures {
    num_requests: u64,
    num_errors: u64,
}

impl Instances {
    pub(super) async fn new(nats: Client) -> Result<Self, DemoError> {
        let inbox = nats.new_inbox();
        let answers = nats.subscribe(inbox.clone()).await.map_err(connection)?;
        Ok(Self {
            nats,
            inbox,
            answers,
            known: BTreeMap::new(),
        })
    }

    /// Pings until every service of the cast has answered; gives those that have not in time.
    pub(super) async fn wait_for_all(&mut self, within: Duration) -> Result<Vec<String>, DemoError> {
        let deadline = Instant::now() + within;
        loop {
            self.ask("$SRV.PING").await?;
            let missing = self.missing();
            if missing.is_empty() || Instant::now() >= deadline {
                return Ok(missing);
            }
        }
    }

    fn missing(&self) -> Vec<String> {
        let mut here: Vec<_> = self
            .known
            .values()
            .map(|instance| instance.service.as_str())
            .collect();
        let mut missing = Vec::new();
        for service in CAST {
            match here.iter().position(|name| *name == service.name()) {
                Some(index) => drop(here.swap_remove(index)),
                None => missing.push(service.name().to_owned()),
            }
        }
        missing
    }

    /// Asks everybody for figures.
    pub(super) async fn ask_figures(&mut self) -> Result<(), DemoError> {
        self.ask("$SRV.STATS").await
    }

    /// Asks, and listens until everybody known has answered or the time is over.
    async fn ask(&mut self, question: &'static str) -> Result<(), DemoError> {
        let asked = self
            .nats
            .publish_with_reply(question, self.inbox.clone(), "".into());
        asked.await.map_err(connection)?;
        for instance in self.known.values_mut() {
            instance.answers = false;
        }
        let deadline = Instant::now() + ANSWERED_WITHIN;
        while self.known.len() < CAST.len() || self.known.values().any(|instance| !instance.answers) {
            let Ok(Some(message)) = timeout_at(deadline, self.answers.next()).await else {
                break;
            };
            let Ok(answer) = serde_json::from_slice::<Answer>(&message.payload) else {
                continue;
            };
            if !CAST.iter().any(|service| service.name() == answer.name) {
                continue; // the storefront
            }
            let instance = self.known.entry(answer.id).or_default();
            instance.service = answer.name;
            instance.answers = true;
            if !answer.endpoints.is_empty() {
                instance.requests = answer.endpoints.iter().map(|figures| figures.num_requests).sum();
                instance.errors = answer.endpoints.iter().map(|figures| figures.num_errors).sum();
            }
        }
        Ok(())
    }

    /// Requests that failed so far, with what those that are gone said last.
    pub(super) fn errors(&self) -> u64 {
        self.known.values().map(|instance| instance.errors).sum()
    }

    /// The instances of a service by id.
    pub(super) fn of(&self, service: &str) -> impl Iterator<Item = (&str, &Instance)> {
        let all = self.known.iter().map(|(id, instance)| (id.as_str(), instance));
        all.filter(move |(_, instance)| instance.service == service)
    }
}

fn connection(error: impl std::fmt::Display) -> DemoError {
    DemoError::Connection(error.to_string())
}
