//! Each attempt of a letter's message, as far as it is on record.
//!
//! A letter's own records tell of the attempt after which each was stored. Of those before it the error events tell, which
//! are no promise and are kept for a time.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use serde::{Deserialize, Serialize};
use tidewire::{
    ErrorBody, Timestamp,
    async_nats::jetstream::{consumer::pull, stream::Stream},
    dead_letter::{Act, Letter},
    wire,
};
use tokio::time::timeout;

use super::{
    DeadLetters, is_there,
    read::{stored_since, unread},
};
use crate::{api, error::OpsError};

/// How many error events of the handler are read to find those of one letter: about 40 MB.
const MOST: usize = 50_000;
/// How long they may take to come: so many over a slow line. A server that sends nothing is noticed earlier.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How far the clocks of services and server may differ, and how late an error event may be stored.
const APART: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An attempt that failed, or attempts in a row of which nothing is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum AttemptView {
    /// One that is on record.
    #[non_exhaustive]
    Known {
        /// Its number; those of replays go on from those before.
        attempt: u32,
        /// When it failed.
        failed: Timestamp,
        /// The class of its error.
        class: String,
        /// What its error says.
        error: String,
        /// What followed: `retry`, `dead_letter` or `discard`.
        then: String,
    },
    /// Those that are not.
    #[non_exhaustive]
    Unknown {
        /// The number of the first.
        from: u32,
        /// The number of the last.
        to: u32,
        /// Why nothing is known of them.
        reason: String,
    },
}

/// An error event, as far as it concerns a letter; [`tidewire::ErrorEvent`] writes it.
#[derive(Deserialize)]
struct Told {
    timestamp: Timestamp,
    data: ErrorBody,
}

/// One attempt that is on record.
struct Known {
    attempt: u32,
    failed: Timestamp,
    class: String,
    error: String,
    then: String,
}

/// What was found of a letter among the error events, and what was not looked at.
#[derive(Default)]
struct Found {
    attempts: Vec<Known>,
    /// Since when the stream has every event.
    begins: Timestamp,
    /// How long it keeps one; zero where age does not matter.
    kept: Duration,
    /// Why it was not read to the end.
    cut: Option<String>,
}

impl DeadLetters {
    /// Every attempt of the letter's message that failed, in their order. Runs that an open breaker held are no attempts.
    ///
    /// Read are the error events of the handler from around the time of the letter's failures, 50,000 at the most and for
    /// half a minute. Where they cannot be read, the attempts that are known from the letter are there all the same.
    pub async fn attempts(&self, letter: &Letter) -> Vec<AttemptView> {
        let now = api::now();
        let mut found = Found::default();
        match timeout(READ_WITHIN, self.find(letter, now, &mut found)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => found.cut = Some(format!("not read: {error}")),
            Err(_) => {
                found.cut = Some(format!(
                    "not found: the error events did not come within {READ_WITHIN:?}"
                ));
            }
        }
        in_order(letter, found, now)
    }

    async fn find(&self, letter: &Letter, now: Timestamp, found: &mut Found) -> Result<(), OpsError> {
        let none_expected = letter.trouble().is_some_and(|trouble| trouble.attempts == 0);
        let times = times(letter, now);
        if none_expected && times.len() <= 1 {
            return Ok(());
        }
        if !is_there(&self.nats, wire::ERRORS_STREAM).await? {
            found.cut = Some(format!(
                "no longer on record: the stream {} does not exist",
                wire::ERRORS_STREAM
            ));
            return Ok(());
        }
        let stream = api::handle(&self.nats, wire::ERRORS_STREAM).await?;
        let asked = format!("$JS.API.STREAM.INFO.{}", wire::ERRORS_STREAM);
        let info = self.nats.unless_refused(&[asked], stream.get_info()).await?;
        let info = info.map_err(|error| unread(wire::ERRORS_STREAM, error))?;
        found.kept = info.config.max_age;
        found.begins = match info.state.first_sequence {
            // Nothing was removed yet.
            0 | 1 => api::time(info.created),
            _ if info.state.messages == 0 => now,
            _ => api::time(info.state.first_timestamp),
        };
        let mut left = MOST;
        for (from, to) in times {
            self.between(&stream, letter, (from, to), found, &mut left)
                .await?;
        }
        Ok(())
    }

    /// Reads what the handler told between two times.
    async fn between(
        &self,
        stream: &Stream<()>,
        letter: &Letter,
        (from, to): (Timestamp, Timestamp),
        found: &mut Found,
        left: &mut usize,
    ) -> Result<(), OpsError> {
        let config = pull::Config {
            filter_subject: wire::errors_subject(&letter.service, &letter.durable),
            deliver_policy: stored_since(from),
            ..pull::Config::default()
        };
        self.through((stream, wire::ERRORS_STREAM), config, |head, body| {
            if head.time > to {
                return ControlFlow::Break(());
            }
            let Some(rest) = left.checked_sub(1) else {
                found.cut = Some(format!(
                    "not found among the first {MOST} error events of {} from that time",
                    wire::consumer_name(&letter.service, &letter.durable)
                ));
                return ControlFlow::Break(());
            };
            *left = rest;
            found.attempts.extend(Known::told(&body, letter));
            ControlFlow::Continue(())
        })
        .await
    }
}

impl Known {
    /// What an error event tells of an attempt of this letter's message.
    fn told(body: &[u8], letter: &Letter) -> Option<Self> {
        let Told { timestamp, data } = serde_json::from_slice(body).ok()?;
        let detail = |name: &str| data.details.get(name)?.as_str();
        // Neither a run that was held nor a letter that could not be stored is an attempt.
        let then = detail("then").filter(|then| ["retry", "dead_letter", "discard"].contains(then))?;
        if detail("letter")? != letter.id.as_str() {
            return None;
        }
        Some(Self {
            attempt: data.details.get("attempt")?.as_u64()?.try_into().ok()?,
            failed: timestamp,
            then: then.to_owned(),
            class: data.code,
            error: data.message,
        })
    }
}

/// When attempts of the letter's message can have failed: before its first record, and after each replay.
fn times(letter: &Letter, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let records = letter.records();
    let mut spans = Vec::new();
    for (index, stored) in records.iter().enumerate() {
        let trouble = stored.record.trouble.as_ref();
        if index == 0 {
            let first = trouble.map_or(stored.time, |trouble| trouble.first_failed.min(stored.time));
            spans.push((first, stored.time));
        } else if stored.record.act == Act::Replayed {
            let end = records.get(index + 1).map_or(now, |next| next.time);
            spans.push((stored.time, end));
        }
    }
    let mut apart: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (from, to) in spans {
        let (from, to) = (earlier(from, APART), later(to, APART));
        match apart.last_mut() {
            // What is in both is read once.
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => apart.push((from, to)),
        }
    }
    apart
}

/// The attempts in their order, with those that are missing among them.
fn in_order(letter: &Letter, mut found: Found, now: Timestamp) -> Vec<AttemptView> {
    let mut known = std::mem::take(&mut found.attempts);
    let told: BTreeSet<_> = known.iter().map(|known| known.attempt).collect();
    for stored in letter.records() {
        let act = stored.record.act;
        let Some(trouble) = stored.record.trouble.as_ref() else {
            continue;
        };
        if trouble.attempts > 0 && !told.contains(&trouble.attempts) {
            known.push(Known {
                attempt: trouble.attempts,
                failed: trouble.last_failed,
                class: trouble.class.clone(),
                error: trouble.error.clone(),
                then: if act == Act::Discarded {
                    "discard"
                } else {
                    "dead_letter"
                }
                .to_owned(),
            });
        }
    }
    known.sort_by_key(|known| (known.attempt, known.failed));
    let mut views = Vec::new();
    let mut next = 1;
    let first = letter
        .records()
        .first()
        .and_then(|first| first.record.trouble.as_ref());
    let mut before = first.map_or(now, |trouble| trouble.first_failed);
    for Known {
        attempt,
        failed,
        class,
        error,
        then,
    } in known
    {
        if attempt > next {
            views.push(AttemptView::Unknown {
                from: next,
                to: attempt - 1,
                reason: found.reason(before, now),
            });
        }
        next = next.max(attempt.saturating_add(1));
        before = failed;
        views.push(AttemptView::Known {
            attempt,
            failed,
            class,
            error,
            then,
        });
    }
    views
}

impl Found {
    /// Why nothing is known of an attempt that followed on what failed at `before`.
    fn reason(&self, before: Timestamp, now: Timestamp) -> String {
        if let Some(cut) = &self.cut {
            return cut.clone();
        }
        if self.begins <= before {
            return "not on record: no error event was stored of it, as where its process died".into();
        }
        let is_too_old = !self.kept.is_zero() && now.since(before) > self.kept;
        if is_too_old {
            format!("no longer on record (error events are kept {})", days(self.kept))
        } else {
            format!(
                "no longer on record (error events are there since {})",
                self.begins
            )
        }
    }
}

/// `7 days`, or a shorter span in hours.
fn days(span: Duration) -> String {
    match span.as_secs() / DAY.as_secs() {
        0 => format!("{:.1} hours", span.as_secs_f64() / 3600.0),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

fn earlier(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_unix(time.since(Timestamp::default()).saturating_sub(span))
}

fn later(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_unix(time.since(Timestamp::default()).saturating_add(span))
}

#[cfg(test)]
mod tests {
    use tidewire::dead_letter::{LetterId, Record, StoredRecord, Trouble};

    use super::*;
    use crate::dead_letters::fixtures::original;

    fn minute(minute: u64) -> Timestamp {
        Timestamp::from_unix(100 * DAY + Duration::from_secs(60 * minute))
    }

    /// A letter whose message failed at minute 9 for the first time, with these acts.
    fn letter(acts: &[(Act, u64)]) -> Letter {
        let original = original(Vec::new(), b"{}");
        let record = |act: Act, time: u64| Record {
            act,
            by: "ana".into(),
            reason: None,
            consumer: "s__d".into(),
            service_version: None,
            trouble: (act == Act::Failed).then(|| Trouble {
                class: "failed".into(),
                error: "no".into(),
                chain: Vec::new(),
                attempts: 1,
                first_failed: minute(9),
                last_failed: minute(time),
                traceparent: None,
            }),
            original: Some(original.clone()),
        };
        let stored = acts.iter().zip(1..).map(|(&(act, time), sequence)| StoredRecord {
            sequence,
            time: minute(time),
            record: record(act, time),
            imported: None,
        });
        let id = LetterId::of("S", Timestamp::default(), 1);
        Letter::of(id, "s", "d", stored.collect()).unwrap()
    }

    #[test]
    fn what_lies_between_a_failure_and_a_replay_is_not_read() {
        let spans = |acts: &[(Act, u64)]| times(&letter(acts), minute(500));
        let at = |from: u64, to: u64| (minute(from), minute(to));
        assert_eq!(spans(&[(Act::Failed, 12)]), [at(8, 13)]);
        let replayed = [
            (Act::Failed, 12),
            (Act::Replayed, 90),
            (Act::Failed, 95),
            (Act::Edited, 200),
            (Act::Replayed, 300),
        ];
        assert_eq!(spans(&replayed), [at(8, 13), at(89, 96), at(299, 501)]);
        let soon = [(Act::Failed, 12), (Act::Replayed, 14), (Act::Handled, 20)];
        assert_eq!(spans(&soon), [at(8, 21)], "what is in both is read once");
    }
}
