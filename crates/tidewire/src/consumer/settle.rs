//! From a delivery to what is said to the stream about it: the effects of [`settlement`](tidewire_core::settlement),
//! carried out.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subject};
use bytes::Bytes;
use tidewire_core::{
    BoxError, Timestamp, Verdict,
    dead_letter::{Act, LetterId, Record, Trouble},
    settlement::{After, Effect, Input, Keep, State, UNANSWERED},
};
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    desk::{Desk, Failure, letter_class},
    gate::Pass,
    in_hand::Grip,
    ordered::Seat,
    replay::Replay,
    runs::{Failed, Known},
    say::{Fate, Said, stop},
};
use crate::{
    clock,
    delivery::{Delivery, StoredAt},
    sender::Sender,
    spans,
};

/// How long a message is left to instances of a newer version.
const NEWER: Duration = Duration::from_secs(2);

/// A message in hand, before its handler.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) message: Arc<Message>,
    /// Where it is settled.
    pub(super) ack: Subject,
    /// The number of this delivery.
    pub(super) delivery: u64,
    pub(super) stored: StoredAt,
    /// When the stream was made.
    pub(super) created: Timestamp,
    pub(super) grip: Grip,
    /// Its part in the order of its durable, where there is one.
    pub(super) seat: Option<Seat>,
}

impl Job {
    /// Handles the message, from `now` on, and settles it.
    pub(super) async fn work(self, desk: &Desk, now: Instant) -> Fate {
        if !desk.asked_for(&self) && Box::pin(desk.is_for_newer(&self)).await {
            return self.say(Said::Nak(NEWER), desk).await;
        }
        let (pass, now) = if let Some(pass) = desk.gate.at_once() {
            (pass, now)
        } else if let Some(pass) = Box::pin(desk.gate.pass(stop(self.seat.as_ref(), desk))).await {
            (pass, Instant::now())
        } else {
            self.give_back(&desk.sender).await;
            return Fate::Left;
        };
        let delivery = self.delivery;
        match Case::open(self, pass, desk, now).await {
            Ok(case) => case.settle(delivery).await,
            Err((job, said)) => job.say(said, desk).await,
        }
    }

    /// Gives the message back, for another instance to take at once; one of an ordered durable comes again when the
    /// next term begins, and in its place. One that may be somebody else's by now is left alone.
    pub(super) async fn give_back(self, sender: &Sender) {
        if self.seat.is_some() || !self.grip.holds(Instant::now()) {
            return;
        }
        let ack = self.ack.clone();
        drop(self.grip);
        send(sender, ack, Bytes::from_static(b"-NAK")).await;
    }
}

/// One message from the moment at which its handler may run.
struct Case<'a> {
    desk: &'a Desk,
    job: Job,
    /// The message as it was sent at first, where it is a replay.
    message: Arc<Message>,
    stored: StoredAt,
    created: Timestamp,
    replay: Option<Replay>,
    /// Until its handler has run, and while no breaker holds it back.
    pass: Option<Pass>,
    known: Known,
    /// The delay that the handler or a rule asked for.
    after: Option<Duration>,
    attempt: u32,
    /// When the clock was read last.
    now: Instant,
}

impl<'a> Case<'a> {
    async fn open(job: Job, pass: Pass, desk: &'a Desk, now: Instant) -> Result<Self, (Job, Said)> {
        let mut case = Self {
            desk,
            message: job.message.clone(),
            stored: job.stored.clone(),
            created: job.created,
            job,
            replay: None,
            pass: Some(pass),
            known: Known::default(),
            after: None,
            attempt: 0,
            now,
        };
        if *case.stored.stream != *desk.service_stream {
            return Ok(case);
        }
        // Boxed, here and below: what few messages need all others would hold the room for.
        let said = match Box::pin(Replay::read(&case.message, &desk.letters)).await {
            // Nothing of ours: it is what it says it is, and a letter if that is nothing.
            Ok(None) => {
                case.now = Instant::now();
                return Ok(case);
            }
            Ok(Some((replay, message))) => {
                if Box::pin(replay.is_due(desk)).await {
                    case.message = Arc::new(message);
                    case.stored = replay.stored();
                    case.replay = Some(replay);
                    case.now = Instant::now();
                    return Ok(case);
                }
                // Somebody acted since: it was handled already, edited, or discarded.
                Said::Ack
            }
            Err(error) => {
                tracing::error!(subject = %case.message.subject, error, "a replay cannot be read");
                Said::Nak(Duration::from_secs(5))
            }
        };
        Err((case.job, said))
    }

    async fn settle(mut self, delivery: u64) -> Fate {
        let mut state = State::Arrived;
        let mut input = Input::Came { delivery };
        let mut suspect = None;
        loop {
            if !self.holds(self.now) {
                input = Input::LeaseLost;
            }
            let (next, effect) = state.step(input);
            state = next;
            let before = self.now;
            input = match effect {
                Effect::Read => {
                    let runs = Box::pin(self.read()).await;
                    if let Some(delay) = self.not_yet() {
                        return self.say(Said::Nak(delay)).await;
                    }
                    Input::Runs(runs)
                }
                Effect::Mark { count, alone } => {
                    if alone && suspect.is_none() {
                        suspect = self.desk.alone(self.job.seat.as_ref()).await;
                    }
                    if !self.holds(Instant::now()) {
                        // What is written down of it by now is another attempt's.
                        Input::LeaseLost
                    } else if alone && suspect.is_none() {
                        Input::Stopping
                    } else {
                        Input::Marked(Box::pin(self.mark(count)).await)
                    }
                }
                Effect::Run { attempt } => self.run(attempt).await,
                Effect::Count { count } => {
                    self.known.due = self.due(state);
                    Input::Counted(Box::pin(self.count(count)).await)
                }
                Effect::Wait => {
                    suspect = None;
                    let again = self.desk.gate.pass_again(stop(self.job.seat.as_ref(), self.desk));
                    self.pass = Box::pin(again).await;
                    if self.pass.is_some() {
                        Input::Admitted
                    } else {
                        Input::Stopping
                    }
                }
                Effect::Keep(keep) => Input::Kept(Box::pin(self.keep(keep)).await),
                Effect::Ack if self.handled().await => return self.say(Said::Ack).await,
                // What was done is on no record yet; the next delivery puts it there, and has an effect once more.
                Effect::Ack => return self.say(Said::Nak(UNANSWERED)).await,
                Effect::Nak(delay) => return self.say(Said::Nak(delay)).await,
                Effect::Term => return self.say(Said::Term).await,
                Effect::Leave => {
                    let subject = self.message.subject.as_str();
                    tracing::warn!(
                        handler = self.desk.durable(),
                        subject,
                        "the lease ran out; another attempt settles it"
                    );
                    return Fate::Left;
                }
                Effect::Nothing => return Fate::Left,
            };
            if self.now == before {
                self.now = Instant::now();
            }
        }
    }

    /// Whether the message is surely ours still; of an ordered durable the term must be, too.
    fn holds(&self, now: Instant) -> bool {
        let in_term = self.job.seat.as_ref().is_none_or(|seat| seat.term.holds());
        in_term && self.job.grip.holds(now)
    }

    /// When a message of an ordered durable runs again: it is not the server that waits.
    fn due(&self, state: State) -> Option<Timestamp> {
        match state {
            State::Counting(After::Nak(delay)) if self.job.seat.is_some() => Some(clock::now_and(delay)),
            _ => None,
        }
    }

    /// How long a message of an ordered durable has to wait still: its delay outlives a parking and the process.
    fn not_yet(&self) -> Option<Duration> {
        let due = self.known.due.filter(|_| self.job.seat.is_some())?;
        Some(due.since(clock::now())).filter(|left| !left.is_zero())
    }

    async fn read(&mut self) -> Option<tidewire_core::settlement::Runs> {
        match self.desk.runs.read(&self.run_id()).await {
            Ok(known) => {
                tracing::trace!(target: "tidewire::walk", "runs read");
                self.known = known;
                Some(self.known.runs(&self.desk.policy.retry, clock::now()))
            }
            Err(error) => {
                tracing::warn!(
                    handler = self.desk.durable(),
                    error,
                    "how often a message was run cannot be read; it waits"
                );
                None
            }
        }
    }

    async fn mark(&mut self, count: u32) -> bool {
        self.known.begins(count);
        self.write("marked").await
    }

    async fn count(&mut self, count: Option<u32>) -> bool {
        self.known.ended(count, self.attempt);
        self.write("counted").await
    }

    async fn write(&self, step: &'static str) -> bool {
        match self
            .desk
            .runs
            .write(&self.run_id(), &self.known, self.after)
            .await
        {
            Ok(()) => {
                tracing::trace!(target: "tidewire::walk", "{step}");
                true
            }
            Err(error) => {
                tracing::warn!(
                    handler = self.desk.durable(),
                    error,
                    "the runs of a message cannot be written down"
                );
                false
            }
        }
    }

    /// A replay's runs are its own.
    fn run_id(&self) -> LetterId {
        match &self.replay {
            Some(replay) => replay.run_id(),
            None => self.place(),
        }
    }

    async fn run(&mut self, attempt: u32) -> Input {
        self.attempt = attempt;
        let desk = self.desk;
        let before = self.replay.as_ref().map_or(0, Replay::attempts);
        let delivery = Delivery::new(
            self.message.clone(),
            before + attempt,
            Some(self.stored.clone()),
            &desk.route.identity,
            &desk.sender,
            desk.inbox.as_ref(),
        );
        let mut outbox = delivery.outbox.clone();
        let failed_before = self
            .known
            .failure
            .as_ref()
            .and_then(|failed| failed.traceparent.as_deref());
        let replayed = self.replay.as_ref().and_then(Replay::traceparent);
        let span = spans::process(&delivery, &desk.route, failed_before.or(replayed));
        self.job.grip.patience(self.now.checked_add(desk.time_limit));
        let mut now = self.now;
        let run = async {
            let mut delivery = delivery;
            if desk.route.unpacks(&delivery) {
                delivery = match desk.route.unpacked(delivery).await {
                    Ok(delivery) => delivery,
                    Err(outcome) => return (outcome, Instant::now()),
                };
                outbox = delivery.outbox.clone();
                now = Instant::now();
            }
            desk.route.attempt_within(delivery, now, desk.time_limit).await
        };
        let (outcome, ended) = run.instrument(span.clone()).await;
        self.job.grip.patience(None);
        spans::ended(&span, (!outcome.is_success()).then(|| outcome.class()));
        let verdict = desk.policy.verdict(&outcome);
        if let Some(pass) = self.pass.take() {
            match verdict {
                Verdict::Hold { pause } => pass.admitted.unavailable(pause),
                _ => pass.admitted.available(),
            }
        }
        self.known.discarded = verdict == Verdict::Discard;
        if verdict == Verdict::Done {
            self.now = ended;
            span.in_scope(|| desk.report_done(&outcome, &self.message.subject, before + attempt));
            return Input::Ended {
                verdict,
                since: Duration::ZERO,
                random: 0.0,
            };
        }
        if let Verdict::Retry { policy, after } = verdict {
            self.known.retry = Some(policy);
            self.after = after;
        }
        let now = clock::now();
        let first = self.known.failure.as_ref().map_or(now, |failed| failed.first);
        if !matches!(verdict, Verdict::Hold { .. }) {
            self.known.failure = Some(Failed {
                class: letter_class(&outcome, verdict).to_owned(),
                error: outcome.error(),
                causes: outcome.causes(),
                first,
                last: now,
                traceparent: spans::context(&span).and_then(|context| context.parent),
            });
        }
        let since = now.since(first);
        let failure = Failure {
            outcome: &outcome,
            verdict,
            // What the settlement decides next, told here because only here the error is at hand.
            is_last: matches!(verdict, Verdict::Retry { policy, .. } if policy.is_over(attempt, since)),
            attempt: before + attempt,
            subject: &self.message.subject,
            stream: &self.stored.stream,
            sequence: self.stored.sequence,
            letter: &self.letter(),
            input: outbox.input(),
        };
        span.in_scope(|| desk.report(&failure));
        Input::Ended {
            verdict,
            since,
            random: fastrand::f64(),
        }
    }

    /// Stores the message whole. A record that is there already says the same.
    async fn keep(&self, keep: Keep) -> bool {
        let (act, reason) = match keep {
            Keep::Letter => (Act::Failed, None),
            Keep::Discarded => (
                Act::Discarded,
                Some("a rule of the handler discards it".to_owned()),
            ),
        };
        let before = self.replay.as_ref().map_or(0, Replay::attempts);
        let mut trouble = self.known.trouble(self.attempt, before, clock::now());
        if let Some(first) = self.replay.as_ref().and_then(Replay::first_failed) {
            trouble.first_failed = first;
        }
        let (desk, letter) = (self.desk, self.letter());
        if let Err(error) = self.record(act, reason, Some(trouble.clone())).await {
            desk.report_not_stored(&error, trouble.attempts, &self.message, &self.stored, &letter);
            // Known for another day: it must not run for want of a place for its letter.
            self.write("counted").await;
            return false;
        }
        tracing::trace!(target: "tidewire::walk", "kept");
        desk.report_letter(&trouble, &self.message.subject, &letter);
        true
    }

    /// Says of a replayed letter that it was handled; of any other message there is nothing to say.
    async fn handled(&self) -> bool {
        if self.replay.is_none() {
            return true;
        }
        let is_recorded = Box::pin(self.record(Act::Handled, None, None)).await.is_ok();
        tracing::trace!(target: "tidewire::walk", "letter handled");
        is_recorded
    }

    fn letter(&self) -> LetterId {
        let replayed = self.replay.as_ref().map(|replay| replay.letter.clone());
        replayed.unwrap_or_else(|| self.place())
    }

    /// The letter of the message at its place: a hash, which nobody makes of a message that is handled at once.
    fn place(&self) -> LetterId {
        LetterId::of(
            &self.job.stored.stream,
            self.job.created,
            self.job.stored.sequence,
        )
    }

    /// Where it fails the letters say so in the log, once for all of them.
    async fn record(
        &self,
        act: Act,
        reason: Option<String>,
        trouble: Option<Trouble>,
    ) -> Result<(), BoxError> {
        let original = trouble.is_some().then(|| match &self.replay {
            Some(replay) => replay.original.clone(),
            None => super::replay::original(&self.message, &self.stored, self.created),
        });
        let record = Record {
            act,
            by: self.desk.by.clone(),
            reason,
            consumer: self.desk.route.identity.to_string(),
            service_version: Some(self.desk.version.clone()),
            trouble,
            original,
        };
        let expected = self.replay.as_ref().map_or(0, |replay| replay.record);
        let letter = self.letter();
        let subject = self.desk.letter_subject(&letter);
        let letters = &self.desk.letters;
        let mut stored = letters.store(&subject, &letter, &record, expected).await?;
        // It was handled or discarded once, and has run again: its consumer was deleted. What came of that is news.
        if stored.is_none()
            && self.replay.is_none()
            && self.attempt > 0
            && act == Act::Failed
            && let Some(closed) = Box::pin(letters.closed(&subject)).await?
        {
            stored = letters.store(&subject, &letter, &record, closed).await?;
        }
        if stored.is_none() {
            tracing::debug!(%letter, %act, "another record was first");
        } else if let (Act::Failed, Some(trouble)) = (act, &record.trouble) {
            self.desk.counts.stored(&trouble.class);
        }
        Ok(())
    }

    async fn say(self, said: Said) -> Fate {
        // Before the word that is said: see `Unheard`.
        drop(self.message);
        let fate = self.job.say(said, self.desk).await;
        tracing::trace!(target: "tidewire::walk", "settled");
        fate
    }
}

pub(super) async fn send(sender: &Sender, ack: Subject, payload: Bytes) {
    if let Err(error) = sender.tell(ack, payload).await {
        let error: BoxError = error.into();
        tracing::warn!(error, "a message could not be settled; it is delivered again");
    }
}
