//! The loop that keeps a handler supplied.

use std::{mem::replace, pin::Pin, sync::Arc, time::Duration};

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    stream::{SelectAll, TakeUntil},
};
use tidewire_core::{BoxError, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{
    ack_subject::AckSubject,
    declare::{ConsumerSpec, declare},
    in_hand::stood_still,
    ordered::{Admission, Admitted, Event, Term},
    pull::{Demand, EXPIRES, Pull, SILENCE, TOO_LARGE},
    settle::Job,
    work::Work,
};
use crate::{delivery::StoredAt, headers::header, stream::look_up, wiring::Wiring};

/// How many bytes of messages a handler may hold.
const BUDGET: usize = 16 << 20;
/// Room for headers, subjects and the ack subject beside a payload of the largest size.
const OVERHEAD: usize = 66 << 10;
/// Between two looks at a consumer that does not answer or refuses.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two requests for messages that this user may not make: somebody may grant it meanwhile.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(3);
/// How long a refusal of a request may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// More than the server can say at once instead of messages: that a request ended, and signs of life.
const STATUSES: usize = 16;
/// The status of a pull whose pin is another one's by now.
const WRONG_PIN: u16 = 423;
/// How long a settled subscription is awaited at the end.
const UNSUBSCRIBED_WITHIN: Duration = Duration::from_secs(2);

/// Pulls from one consumer for one handler, within limits of count and bytes.
#[derive(Debug)]
pub(crate) struct Puller {
    wiring: Wiring,
    spec: ConsumerSpec,
    /// Its stream, for each message to share.
    stream: Arc<str>,
    /// When it was made: one that was deleted and made again is another one.
    created: Timestamp,
    work: Work,
    demand: Demand,
    /// The number of the connection that is subscribed on.
    connection: u64,
    /// What came on the subscription so far, what the server says instead of messages included.
    received: u64,
    /// When the last of them came, or the first of several that came together.
    came: Instant,
    /// Whether the service was said not to be ready because of it.
    ailing: bool,
    /// No request before this: the last one was refused for a reason that asking again does not change.
    not_before: Instant,
    /// This user may not pull, or might not a moment ago: until then a new refusal of the last request may come.
    forbidden: Option<Instant>,
    /// Cancelled when nothing more is to be pulled.
    stop: CancellationToken,
    /// What watches over the deliveries of a durable that is ordered by key.
    admission: Option<Admission>,
    /// Let go once the first request was made, or could not be: a start waits for it.
    first: Option<TaskTrackerToken>,
    /// Subscriptions of earlier connections, for as long as requests live that were made for them: a server that has not
    /// seen a connection die goes on serving its requests, and what it sends to the subject arrives here too.
    former: SelectAll<Pin<Box<TakeUntil<Subscriber, Sleep>>>>,
}

/// Why a subscription is left.
enum Left {
    Stopped,
    /// The server counts what it sends anew, and forgets requests once it knows that their connection is gone.
    Reconnected,
    /// What waits in the subscription may be somebody else's by now.
    StoodStill,
    /// The consumer is gone, or nobody answers for it.
    Lost(String),
}

impl Puller {
    pub(crate) fn new(wiring: &Wiring, spec: ConsumerSpec, work: Work) -> Self {
        let largest = wiring.sender.client().max_payload() + OVERHEAD;
        Self {
            wiring: wiring.clone(),
            stream: spec.stream.as_str().into(),
            created: Timestamp::default(),
            demand: Demand::new(work.desk.route.concurrency, BUDGET, largest, work.ack_wait),
            spec,
            work,
            connection: 0,
            received: 0,
            came: Instant::now(),
            ailing: false,
            not_before: Instant::now(),
            forbidden: None,
            stop: wiring.stop.clone(),
            admission: None,
            first: None,
            former: SelectAll::new(),
        }
    }

    /// The same, which lets go of `first` once it has made its first request.
    pub(crate) fn awaited(self, first: TaskTrackerToken) -> Self {
        Self {
            first: Some(first),
            ..self
        }
    }

    /// Pulls for one term of a durable that is ordered by key, and ends it where anything goes wrong.
    pub(super) async fn pull_for(&mut self, term: &Arc<Term>) {
        self.stop = term.ended().clone();
        let (stream, name) = (self.spec.stream.clone(), self.spec.name.clone());
        let mut connections = self.wiring.connections.clone();
        self.connection = *connections.borrow_and_update();
        let js = self.wiring.sender.connection().jetstream();
        let left = match self.begin().await {
            Ok((inbox, mut messages)) => match Admission::begin(&js, &stream, &name, term).await {
                Ok(admission) => {
                    self.admission = Some(admission);
                    term.told().await;
                    self.pull(&inbox, &mut messages, connections).await
                }
                Err(error) => Left::Lost(error.to_string()),
            },
            Err(error) => Left::Lost(error.to_string()),
        };
        self.admission = None;
        term.end("a consumer is pulled no more");
        if let Left::Lost(reason) = left {
            self.find(reason).await;
        }
    }

    /// Pulls until the service stops; then gives back what has not begun and waits for what has.
    pub(crate) async fn run(mut self) {
        loop {
            let mut connections = self.wiring.connections.clone();
            self.connection = *connections.borrow_and_update();
            let left = match self.begin().await {
                Ok((inbox, mut messages)) => {
                    let left = self.pull(&inbox, &mut messages, connections).await;
                    match left {
                        Left::Reconnected => self.former.push(Box::pin(messages.take_until(sleep(EXPIRES)))),
                        Left::StoodStill => self.former.clear(),
                        // Only then: what is given back while requests are open comes to ourselves again.
                        Left::Stopped | Left::Lost(_) => {
                            let waiting = self.take_waiting();
                            let late = self.unsubscribe(&inbox, messages).await;
                            self.give_back(waiting.into_iter().chain(late)).await;
                        }
                    }
                    left
                }
                Err(error) => Left::Lost(error.to_string()),
            };
            self.first = None;
            let reason = match left {
                Left::Stopped => break,
                Left::Reconnected | Left::StoodStill => continue,
                Left::Lost(reason) => reason,
            };
            self.find(reason).await;
            // With a client that is dead every try fails at once.
            if self.wiring.stop.is_cancelled() {
                break;
            }
        }
        self.give_back(self.take_waiting()).await;
        self.work.crew.at_most(0).await;
    }

    /// Looks for a consumer that does not answer.
    async fn find(&mut self, reason: String) {
        let ConsumerSpec { stream, name, .. } = self.spec.clone();
        tracing::error!(%stream, consumer = %name, %reason, "the consumer does not answer; looking for it");
        tokio::select! {
            () = self.wiring.stop.cancelled() => return,
            () = sleep(PAUSE) => {}
        }
        // Made again where it is gone, at its declared start; `Start::Now` goes on where it was last seen.
        if let Err(error) = declare(self.wiring.sender.connection(), &self.spec).await {
            self.ails(format!(
                "the consumer {name} on {stream} does not answer ({reason}) and cannot be made: {error}"
            ));
        }
    }

    /// What came from this consumer and has not begun. What came from others is theirs to give back: while they ask for
    /// more it would come to ourselves again.
    fn take_waiting(&self) -> Vec<Job> {
        self.work
            .crew
            .take_waiting(|job| job.stored.stream == self.stream)
    }

    /// The service is not ready while it cannot read its stream.
    fn ails(&mut self, what: String) {
        self.ailing = true;
        self.wiring.health.ails(&self.cause(), what);
    }

    fn cause(&self) -> String {
        format!("consumer-{}-{}", self.spec.stream, self.spec.name)
    }

    async fn begin(&mut self) -> Result<(String, Subscriber), BoxError> {
        let nats = self.wiring.sender.connection();
        let stream = &self.spec.stream;
        let Some(found) = look_up(nats, stream).await? else {
            return Err(format!("there is no stream {stream}").into());
        };
        if replace(&mut self.created, found.created) != found.created {
            self.work.in_hand.void(&format!(".{stream}.{}.", self.spec.name));
        }
        Ok(self.subscribe().await?)
    }

    async fn subscribe(&self) -> Result<(String, Subscriber), async_nats::SubscribeError> {
        let client = self.wiring.sender.client();
        let inbox = client.new_inbox();
        Ok((inbox.clone(), client.subscribe(inbox).await?))
    }

    async fn pull(
        &mut self,
        inbox: &str,
        messages: &mut Subscriber,
        mut connections: watch::Receiver<u64>,
    ) -> Left {
        self.demand.reset();
        self.spec.received.anew(self.connection);
        self.received = 0;
        let mut refusals = self.wiring.sender.connection().refusals().heard();
        let next = self.next_subject();
        let mut silent_at = Instant::now() + SILENCE;
        let mut awake_at = Instant::now();
        loop {
            let now = Instant::now();
            if stood_still(awake_at, now, self.work.ack_wait) {
                return Left::StoodStill;
            }
            awake_at = now;
            let (held, open) = (self.work.held(), self.work.desk.gate.is_open());
            if !open
                && self.work.is_idle()
                && let Some(pull) = self.demand.one()
                && let Err(error) = self.ask(inbox, pull).await
            {
                // A breaker that holds nothing would never close: only a message finds out whether it may.
                return self.ended(connections, error.to_string()).await;
            }
            if now >= self.not_before
                && open
                && let Some(pull) = self
                    .demand
                    .next(held, self.work.in_hand.bytes(), self.work.typical())
                && let Err(error) = self.ask(inbox, pull).await
            {
                return self.ended(connections, error.to_string()).await;
            }
            self.first = None;
            let work = self.work.clone();
            let mut next_look = silent_at.min(now + work.ack_wait / 4);
            if self.not_before > now {
                next_look = next_look.min(self.not_before);
            }
            if let Some(allowed) = self.forbidden {
                next_look = next_look.min(allowed);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    // What came to one that stood still is not ours to give back.
                    let still = stood_still(awake_at, Instant::now(), self.work.ack_wait);
                    return if still { Left::StoodStill } else { Left::Stopped };
                }
                message = messages.next() => {
                    self.came = Instant::now();
                    if stood_still(awake_at, self.came, self.work.ack_wait) {
                        return Left::StoodStill;
                    }
                    silent_at = self.came + SILENCE;
                    let Some(message) = message else {
                        return self.ended(connections, "the subscription ended".into()).await;
                    };
                    if let Some(left) = self.receive(message) {
                        return left;
                    }
                    // Whatever has come already, before asking again.
                    while let Some(Some(message)) = messages.next().now_or_never() {
                        if let Some(left) = self.receive(message) {
                            return left;
                        }
                    }
                }
                Some(message) = self.former.next() => {
                    self.came = Instant::now();
                    if stood_still(awake_at, self.came, self.work.ack_wait) {
                        return Left::StoodStill;
                    }
                    if message.status.is_none() && let Some(job) = self.take(message) {
                        self.work.push(job);
                    }
                }
                _ = connections.changed() => return Left::Reconnected,
                // The server answers nothing to it, ever.
                refusal = refusals.next(|refusal| refusal.subject == next) => {
                    self.demand.reset();
                    self.not_before = Instant::now() + FORBIDDEN_PAUSE;
                    // The next request is made then, and would be refused at once.
                    self.forbidden = Some(self.not_before + REFUSED_WITHIN);
                    self.wiring.health.ails(&self.cause(), format!("nothing more is pulled: {refusal}"));
                }
                // One timer for all that comes with time: the loop is run through for every few messages.
                () = sleep_until(next_look) => {
                    let now = Instant::now();
                    if now >= silent_at {
                        silent_at = now + SILENCE;
                        self.demand.reset();
                    }
                    if self.forbidden.is_some_and(|allowed| allowed <= now) {
                        self.forbidden = None;
                        self.wiring.health.recovers(&self.cause());
                    }
                }
                () = work.eases(held), if !work.is_idle() => {}
                () = work.desk.gate.opens(), if !open => {}
            }
        }
    }

    /// The client has ended, and the subscription with it; what is in hand stays there until another one comes.
    async fn ended(&mut self, mut connections: watch::Receiver<u64>, reason: String) -> Left {
        self.first = None;
        tokio::select! {
            () = self.stop.cancelled() => Left::Stopped,
            _ = connections.changed() => Left::Reconnected,
            () = self.wiring.closed.cancelled() => Left::Lost(reason),
        }
    }

    fn next_subject(&self) -> String {
        let prefix = self.wiring.sender.connection().api_prefix();
        format!(
            "{prefix}.CONSUMER.MSG.NEXT.{}.{}",
            self.spec.stream, self.spec.name
        )
    }

    async fn ask(&self, inbox: &str, pull: Pull) -> Result<(), async_nats::PublishError> {
        let subject = self.next_subject();
        let request = pull.request(self.spec.pinned_for, self.admission.as_ref());
        self.wiring
            .sender
            .client()
            .publish_with_reply(subject, inbox.to_owned(), request.into())
            .await
    }

    /// Takes in a message, or what the server says instead of one.
    fn receive(&mut self, message: Message) -> Option<Left> {
        self.received += 1;
        if std::mem::take(&mut self.ailing) {
            self.wiring.health.recovers(&self.cause());
        }
        let Some(status) = message.status else {
            self.demand.came(message.length);
            if let Some(job) = self.take(message) {
                self.work.push(job);
            }
            return None;
        };
        match (status, message.description.as_deref().unwrap_or_default()) {
            (StatusCode::IDLE_HEARTBEAT, _) => {}
            (StatusCode::NO_RESPONDERS, _) => return Some(Left::Lost("nobody answers for it".into())),
            (_, "Consumer Deleted") => return Some(Left::Lost("it was deleted".into())),
            (status, description) if status.as_u16() == WRONG_PIN => {
                if let Some(admission) = &self.admission {
                    admission.term.end(description);
                }
            }
            _ => {
                let headers = message.headers.as_ref();
                let unanswered = |name| header(headers?, name)?.parse::<usize>().ok();
                if let Some(messages) = unanswered("Nats-Pending-Messages") {
                    let bytes = unanswered("Nats-Pending-Bytes").unwrap_or(0);
                    self.demand.ended(messages, bytes);
                    if message.description.as_deref() == Some(TOO_LARGE) {
                        self.demand.grow(bytes);
                    }
                } else {
                    let (consumer, reason) = (&self.spec.name, message.description.as_deref());
                    tracing::warn!(%consumer, ?status, reason, "a request for messages was refused");
                    self.demand.reset();
                    self.not_before = Instant::now() + PAUSE;
                }
            }
        }
        None
    }

    /// Takes a message in hand.
    fn take(&mut self, message: Message) -> Option<Job> {
        let bytes = message.length;
        tracing::trace!(target: "tidewire::walk", "pulled");
        let Some(ack) = message.reply.clone() else {
            tracing::warn!(subject = %message.subject, "a message without an ack subject is none of the stream's");
            return None;
        };
        let said = AckSubject::read(&ack);
        let admitted = self
            .admission
            .as_mut()
            .map(|admission| admission.admit(&self.stream, &message, said));
        let (seat, delivery) = match admitted {
            None => (None, None),
            Some(Admitted::Handle(seat, delivery)) => (Some(seat), Some(delivery)),
            Some(Admitted::Done) => {
                self.work.tell(Event::Done(ack));
                return None;
            }
            Some(Admitted::Nothing) => return None,
        };
        let Some(said) = said else {
            tracing::warn!(%ack, "a message whose ack subject cannot be read comes again");
            return None;
        };
        if said.delivered == 1 {
            self.spec.received.came(said.stream_sequence);
        }
        let grip = self.work.in_hand.take(ack.clone(), bytes, self.came);
        tracing::trace!(target: "tidewire::walk", "in hand");
        Some(Job {
            message: message.into(),
            ack,
            delivery: delivery.unwrap_or(said.delivered),
            stored: StoredAt {
                stream: self.stream.clone(),
                sequence: said.stream_sequence,
                time: said.stored,
            },
            created: self.created,
            grip,
            seat,
        })
    }

    /// Ends the subscription after the last message that the server may have sent already.
    ///
    /// The client's own `drain` forgets a subscription before the server has: what is on its way then would be dropped,
    /// and come again only after the ack wait. So the server is told to end it after as many messages as may still
    /// come, and messages to ourselves make up for those that do not.
    async fn unsubscribe(&mut self, inbox: &str, mut messages: Subscriber) -> Vec<Job> {
        let mut late = Vec::new();
        let may_come = self.demand.asked() + STATUSES;
        let last = self.received + u64::try_from(may_come).unwrap_or(u64::MAX);
        let rest = async {
            if messages.unsubscribe_after(last).await.is_err() {
                return;
            }
            for _ in 0..may_come {
                let client = self.wiring.sender.client();
                if client.publish(inbox.to_owned(), Bytes::new()).await.is_err() {
                    return;
                }
            }
            while let Some(message) = messages.next().await {
                self.came = Instant::now();
                if message.status.is_none() && message.reply.is_some() {
                    late.extend(self.take(message));
                }
            }
        };
        drop(timeout(UNSUBSCRIBED_WITHIN, rest).await);
        late
    }

    async fn give_back(&self, jobs: impl IntoIterator<Item = Job>) {
        for job in jobs {
            job.give_back(&self.wiring.sender).await;
        }
    }
}
