//! Who of the cast is there, by the NATS services protocol, `$SRV`.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use serde::Deserialize;
use tidewire::async_nats::{Client, Subscriber};
use tokio::time::{Instant, timeout_at};

use super::{children::CAST, error::DemoError};

/// How long answers to one question are awaited; they take a millisecond.
const ANSWERED_WITHIN: Duration = Duration::from_millis(250);

/// Everybody who ever answered: services by instance id.
#[derive(Debug)]
pub(super) struct Instances {
    nats: Client,
    inbox: String,
    answers: Subscriber,
    known: BTreeMap<String, String>,
}

/// An answer to PING.
#[derive(Deserialize)]
struct Answer {
    name: String,
    id: String,
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
            self.ask().await?;
            let missing = self.missing();
            if missing.is_empty() || Instant::now() >= deadline {
                return Ok(missing);
            }
        }
    }

    fn missing(&self) -> Vec<String> {
        let mut here: Vec<_> = self.known.values().map(String::as_str).collect();
        let mut missing = Vec::new();
        for service in CAST {
            match here.iter().position(|name| *name == service.name()) {
                Some(index) => drop(here.swap_remove(index)),
                None => missing.push(service.name().to_owned()),
            }
        }
        missing
    }

    /// Asks who is there, and listens until the time is over or as many have answered as there should be.
    async fn ask(&mut self) -> Result<(), DemoError> {
        let asked = self
            .nats
            .publish_with_reply("$SRV.PING", self.inbox.clone(), "".into());
        asked.await.map_err(connection)?;
        let deadline = Instant::now() + ANSWERED_WITHIN;
        while self.known.len() < CAST.len() {
            let Ok(Some(message)) = timeout_at(deadline, self.answers.next()).await else {
                break;
            };
            if let Ok(answer) = serde_json::from_slice::<Answer>(&message.payload) {
                self.known.insert(answer.id, answer.name);
            }
        }
        Ok(())
    }
}

fn connection(error: impl std::fmt::Display) -> DemoError {
    DemoError::Connection(error.to_string())
}
