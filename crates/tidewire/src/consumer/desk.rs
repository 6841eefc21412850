//! What all messages of one durable share on their way from delivery to settlement.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::Message;
use tidewire_core::{
    Class, ErrorEvent, Kind, Outcome, Policy, Stamp, SubjectFilter, Verdict,
    dead_letter::{LetterId, Trouble},
    wire,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::{gate::Gate, ordered::Seat, runs::Runs, say::stop, settle::Job};
use crate::{
    delivery::StoredAt, error_events::ErrorEvents, inbox::Inbox, input::Input, letters::Letters,
    manifest_bucket, metrics, route::Route, sender::Sender, unheard::Unheard,
};

/// How often a message is left to a newer version: that is ten minutes at least.
const MOST_LEFT: u64 = 300;

/// One durable's handler, its limits, and where its failures go.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) service: String,
    /// The stream in which replays come.
    pub(crate) service_stream: String,
    /// Who acts: the service, its version, this instance.
    pub(crate) by: String,
    pub(crate) version: String,
    pub(crate) route: Route,
    /// What the consumers let through, as this version declares them.
    pub(crate) filters: Vec<SubjectFilter>,
    pub(crate) sender: Sender,
    pub(crate) policy: Policy,
    /// How long the handler may take for one message.
    pub(crate) time_limit: Duration,
    pub(crate) gate: Gate,
    pub(crate) runs: Runs,
    pub(crate) letters: Letters,
    /// Where each message is to have one effect.
    pub(crate) inbox: Option<Inbox>,
    pub(crate) errors: ErrorEvents,
    pub(crate) counts: metrics::Letters,
    pub(crate) unheard: Unheard,
    /// Held by the one message of the instance that may have killed a process.
    pub(crate) suspect: Arc<Mutex<()>>,
    pub(crate) stop: CancellationToken,
}

/// Where a message stands among its failures.
pub(super) struct Failure<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) verdict: Verdict,
    /// Whether the handler would try again, and may not.
    pub(super) is_last: bool,
    pub(super) attempt: u32,
    pub(super) subject: &'a str,
    pub(super) stream: &'a str,
    pub(super) sequence: u64,
    pub(super) letter: &'a LetterId,
    pub(super) input: &'a Input,
}

impl Desk {
    /// The durable's name.
    pub(crate) fn durable(&self) -> &str {
        &self.route.name
    }

    /// Whether what this version declares lets a message through.
    pub(super) fn asked_for(&self, job: &Job) -> bool {
        self.filters.is_empty()
            || *job.stored.stream == *self.service_stream
            || self
                .filters
                .iter()
                .any(|filter| filter.matches(&job.message.subject))
    }

    /// Whether a newer version takes it, which has added to the filter of the consumer that both share while a deployment is
    /// under way: then it is no dead letter of this one. Its first delivery may come before that version is on record.
    pub(super) async fn is_for_newer(&self, job: &Job) -> bool {
        let (nats, subject) = (self.sender.connection(), job.message.subject.as_str());
        let newer = job.delivery == 1
            || (job.delivery < MOST_LEFT
                && manifest_bucket::is_declared(nats, &self.service, self.durable(), subject).await);
        if newer {
            tracing::warn!(
                handler = self.durable(),
                subject,
                "left to a newer version, which has added this message to the filter"
            );
        }
        newer
    }

    /// Waits until no other suspect runs; `None` where the service or the term ends before.
    pub(super) async fn alone(&self, seat: Option<&Seat>) -> Option<MutexGuard<'_, ()>> {
        let guard = tokio::select! {
            biased;
            () = stop(seat, self).cancelled() => return None,
            guard = self.suspect.lock() => guard,
        };
        // Should it kill the process, what others have done by now is not run again.
        match seat {
            Some(seat) if !seat.term.told().await => None,
            _ => Some(guard),
        }
    }

    /// Where the records of a letter are.
    pub(crate) fn letter_subject(&self, letter: &LetterId) -> String {
        wire::letter_subject(&self.service, self.durable(), letter.as_str())
    }

    /// Says in the log that the answer was no.
    pub(super) fn report_done(&self, outcome: &Outcome, subject: &str, attempt: u32) {
        if let Outcome::Failed(failure) = outcome {
            tracing::debug!(handler = self.durable(), subject, attempt, %failure, "declined");
        }
    }

    /// Says what went wrong: in the log, and as an error event.
    pub(super) fn report(&self, failure: &Failure<'_>) {
        let Failure {
            outcome,
            attempt,
            subject,
            ..
        } = *failure;
        let (handler, class, error) = (self.durable(), outcome.class(), outcome.error());
        let then = match failure.verdict {
            Verdict::Done => return self.report_done(outcome, subject, attempt),
            Verdict::Retry { .. } if failure.is_last => "dead_letter",
            Verdict::Retry { .. } => "retry",
            Verdict::Hold { .. } => "hold",
            Verdict::DeadLetter => "dead_letter",
            Verdict::Discard => "discard",
        };
        if then == "retry" {
            self.counts.retried(class);
        }
        let chain = outcome.causes().join(" <- ");
        match failure.verdict {
            Verdict::Retry { .. } if !failure.is_last => tracing::warn!(
                handler,
                subject,
                attempt,
                class,
                error,
                chain,
                "failed; it is tried again"
            ),
            // The breaker says it once, for all of them.
            Verdict::Hold { .. } => {
                tracing::debug!(handler, subject, attempt, error, "unavailable; it is held");
            }
            _ => tracing::error!(
                handler,
                subject,
                attempt,
                class,
                error,
                chain,
                then,
                "it cannot be handled"
            ),
        }
        let event = ErrorEvent {
            service: self.service.clone(),
            durable: self.durable().to_owned(),
            class: class.to_owned(),
            error,
            subject: subject.to_owned(),
            stream: failure.stream.to_owned(),
            sequence: failure.sequence,
            attempt,
            then,
            letter: failure.letter.to_string(),
        };
        self.errors.tell(event, self.stamp(failure.input));
    }

    /// An error event follows from the message that it is about.
    fn stamp(&self, input: &Input) -> Stamp {
        let mut stamp = self.sender.stamp(Kind::Error);
        stamp.correlation_id = Some(input.correlation_id().to_owned());
        stamp.causation_id = Some(input.id().to_string());
        stamp
    }

    /// Tells that the letter of a message cannot be stored. Once, until one of the durable is: the message comes again
    /// and again meanwhile. In the log the letters say it. Whether it was told.
    pub(crate) fn report_not_stored(
        &self,
        error: &dyn fmt::Display,
        attempt: u32,
        message: &Message,
        stored: &StoredAt,
        letter: &LetterId,
    ) -> bool {
        if !self.letters.refused(self.durable()) {
            return false;
        }
        let event = ErrorEvent {
            service: self.service.clone(),
            durable: self.durable().to_owned(),
            class: "not_stored".to_owned(),
            error: format!("its letter cannot be stored in {}: {error}", wire::DLQ_STREAM),
            subject: message.subject.to_string(),
            stream: stored.stream.to_string(),
            sequence: stored.sequence,
            attempt,
            then: "kept_unacknowledged",
            letter: letter.to_string(),
        };
        let input = Input::read(message, Some(stored));
        self.errors.tell(event, self.stamp(&input));
        true
    }

    /// Says that a message became a letter because its runs were spent.
    pub(super) fn report_letter(&self, trouble: &Trouble, subject: &str, letter: &LetterId) {
        self.letters.accepted(self.durable());
        let (handler, class, attempts) = (self.durable(), &trouble.class, trouble.attempts);
        tracing::error!(handler, subject, class, attempts, error = trouble.error, %letter, "a dead letter was stored");
    }
}

/// The class under which a message is kept that no attempt follows.
pub(super) fn letter_class(outcome: &Outcome, verdict: Verdict) -> &'static str {
    match outcome {
        // The handler would try again, and a rule says that it is of no use.
        Outcome::Failed(_) if verdict == Verdict::DeadLetter => "rejected",
        // It failed as often as it may.
        Outcome::Failed(failure) if matches!(failure.class(), Class::Retry(_)) => "exhausted",
        outcome => outcome.class(),
    }
}
