//! How often a message was run, which the server does not count.
//!
//! It counts deliveries: of messages that were given back at a deployment, or waited in a buffer too. Counted that way a
//! healthy message would be a dead letter after a few deployments. So runs are counted here, of messages that failed or
//! came before; the first run of a message that succeeds costs nothing. A run that ended well does not count: its ack may
//! be lost, in a server's crash even time after time, and the message has killed nobody.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewire_core::{
    BoxError, Retry, Timestamp,
    dead_letter::{LetterId, Trouble},
    settlement::{self, Keep},
    wire,
};

use crate::{
    bucket::{Bucket, Expect},
    connection::Connection,
    start_error::StartError,
};

/// How long a count is kept at least; each failure begins it anew.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// The class of a message whose last run ended with its process.
const CRASHED: &str = "crashed";

/// The runs of one durable's messages.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    bucket: Bucket,
    durable: String,
    life: Duration,
}

/// What is known of one message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// Runs so far that count: see [`settlement::Effect::Mark`].
    runs: u32,
    /// Whether the last one began and never ended.
    #[serde(default)]
    unfinished: bool,
    /// Whether none is to follow.
    #[serde(default)]
    spent: bool,
    /// Whether none is to follow because a rule discards it: that outlives a process that died before it was stored.
    #[serde(default)]
    pub(super) discarded: bool,
    /// The last failure.
    #[serde(default)]
    pub(super) failure: Option<Failed>,
    /// When it runs again, where it is not the server that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Timestamp>,
    /// The policy by which it is retried, where a rule chose one.
    #[serde(default)]
    pub(super) retry: Option<Retry>,
}

/// A failure, as long as it is no dead letter yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) class: String,
    pub(super) error: String,
    pub(super) causes: Vec<String>,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// The `traceparent` of the attempt that failed: the next one links to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
}

impl Runs {
    /// The bucket of a service, made where there is none.
    pub(crate) async fn bucket(
        nats: &Connection,
        service: &str,
        replicas: usize,
    ) -> Result<Bucket, StartError> {
        let description = format!("how often {service} has run messages that failed");
        Bucket::of_service(nats, wire::runs_bucket(service), description, replicas).await
    }

    pub(crate) fn new(bucket: Bucket, durable: &str, longest: &Retry) -> Self {
        Self {
            bucket,
            durable: durable.to_owned(),
            life: LIFE.max(longest.longest_delay() * 2),
        }
    }

    /// What is known of a message; nothing where it never failed.
    pub(super) async fn read(&self, letter: &LetterId) -> Result<Known, BoxError> {
        let entry = self.bucket.get(&self.key(letter)).await?;
        match entry.and_then(|entry| entry.value) {
            Some(value) => Ok(serde_json::from_slice(&value)?),
            None => Ok(Known::default()),
        }
    }

    /// Written down until after the message has come again, `delay` from now at the earliest.
    pub(super) async fn write(
        &self,
        letter: &LetterId,
        known: &Known,
        delay: Option<Duration>,
    ) -> Result<(), BoxError> {
        let chosen = known.retry.map_or(Duration::ZERO, |retry| retry.longest_delay());
        let life = self.life.max(LIFE + delay.unwrap_or_default().max(chosen) * 2);
        let value = serde_json::to_vec(known)?;
        self.bucket
            .put(&self.key(letter), value.into(), Expect::Anything, life)
            .await?;
        Ok(())
    }

    fn key(&self, letter: &LetterId) -> String {
        format!("{}.{letter}", self.durable)
    }
}

impl Known {
    /// As the settlement asks for it; `policy` is the durable's.
    pub(super) fn runs(&self, policy: &Retry, now: Timestamp) -> settlement::Runs {
        let policy = self.retry.as_ref().unwrap_or(policy);
        let since = self
            .failure
            .as_ref()
            .map_or(Duration::ZERO, |failed| now.since(failed.first));
        // Zero runs are never too many.
        let spent = self.spent || (self.runs > 0 && policy.is_over(self.runs, since));
        settlement::Runs {
            count: self.runs,
            unfinished: self.unfinished,
            spent: spent.then_some(if self.discarded {
                Keep::Discarded
            } else {
                Keep::Letter
            }),
        }
    }

    /// A run begins, and so many count if it never ends.
    pub(super) fn begins(&mut self, count: u32) {
        self.runs = count;
        self.unfinished = true;
    }

    /// So many runs have ended, the last of them being `attempt`; `None` where none is to follow. A letter that another
    /// process stores says as many as this one would.
    pub(super) fn ended(&mut self, count: Option<u32>, attempt: u32) {
        self.unfinished = false;
        self.spent |= count.is_none();
        self.runs = count.unwrap_or(attempt);
    }

    /// The trouble that a dead letter tells of: the last failure, or that its last run ended with the process.
    pub(super) fn trouble(&self, attempts: u32, before: u32, now: Timestamp) -> Trouble {
        let attempts = attempts.max(self.runs);
        let failed = match self.failure.clone() {
            Some(failed) if !self.unfinished => failed,
            Some(failed) => Failed {
                class: CRASHED.into(),
                error: "the process ended while it handled the message, which had failed before".into(),
                causes: [vec![failed.error], failed.causes].concat(),
                first: failed.first,
                last: now,
                traceparent: failed.traceparent,
            },
            None => Failed {
                class: CRASHED.into(),
                error: format!(
                    "the process ended {attempts} times while it handled the message, and no other suspect"
                ),
                causes: Vec::new(),
                first: now,
                last: now,
                traceparent: None,
            },
        };
        Trouble {
            class: failed.class,
            error: failed.error,
            chain: failed.causes,
            attempts: before + attempts,
            first_failed: failed.first,
            last_failed: failed.last,
            traceparent: failed.traceparent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by `crash abort`: what had failed before was forgotten, and deaths were told of that never were.
    #[test]
    fn the_letter_of_a_crash_tells_what_had_failed_before() {
        let mut known = Known {
            failure: Some(Failed {
                class: "failed".into(),
                error: "cannot charge".into(),
                causes: vec!["the gateway says 500".into()],
                first: Timestamp::default(),
                last: Timestamp::default(),
                traceparent: None,
            }),
            ..Known::default()
        };
        known.begins(3);
        let trouble = known.trouble(0, 0, Timestamp::default());
        assert_eq!((trouble.class.as_str(), trouble.attempts), ("crashed", 3));
        assert_eq!(trouble.chain, ["cannot charge", "the gateway says 500"]);
        known.failure = None;
        let trouble = known.trouble(0, 0, Timestamp::default());
        assert!(trouble.error.contains("ended 3 times"), "{}", trouble.error);
    }
}
