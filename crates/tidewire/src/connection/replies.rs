//! Replies to what one client sends, on one inbox.
//!
//! Everything that is answered has a number of its own, and its reply comes to the inbox behind which the number stands.
//! One task reads the inbox, hears what the server refuses, and sees when the connection is another one: what waits does
//! none of this for itself.

use std::{
    collections::HashMap,
    fmt::Write as _,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, HeaderMap, Message, PublishError, Subject, SubscribeError, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::poll_immediate};
use tokio::{
    runtime::Handle,
    sync::{Mutex as AsyncMutex, oneshot},
    task::unconstrained,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Operation, Refusal,
    refusals::{Heard, Refusals},
};

/// How often the clock and the count of connections are read; the client has nothing to await.
const LOOK: Duration = Duration::from_millis(50);

/// Who waits for replies to what one client sent.
#[derive(Clone, Debug)]
pub(crate) struct Replies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    refusals: Refusals,
    next: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Where the connection was made: whoever asks first may drive a runtime of their own, and only while they ask.
    runtime: Option<Handle>,
    /// Held while the inbox is subscribed to.
    beginning: AsyncMutex<()>,
    /// Ends the task that reads, with the last who could send.
    over: CancellationToken,
    _dropped: DropGuard,
}

#[derive(Debug, Default)]
struct Waiting {
    /// What stands before the number; `None` while nobody reads.
    inbox: Option<Arc<str>>,
    by_number: HashMap<u64, Waits>,
}

#[derive(Debug)]
struct Waits {
    subject: Subject,
    /// The connection on which it was sent, if the reply is lost with it.
    connects: Option<u64>,
    /// How long it waits.
    until: Instant,
    tell: oneshot::Sender<Reply>,
}

/// What came of a message that is to be answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// This was answered.
    Message(Message),
    /// The server does not let this user send there, or hear the reply.
    Refused(Refusal),
    /// It was sent on a connection that is lost, and the reply does not come any more.
    Lost,
    /// The time is over.
    Late,
}

/// Why no reply is awaited.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nothing was sent.
    Unsent(PublishError),
    /// The client has ended.
    Ended,
}

impl Replies {
    pub(super) fn new(client: Client, refusals: Refusals) -> Self {
        let over = CancellationToken::new();
        Self(Arc::new(Inner {
            client,
            refusals,
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
            runtime: Handle::try_current().ok(),
            beginning: AsyncMutex::default(),
            _dropped: over.clone().drop_guard(),
            over,
        }))
    }

    /// Sends a message and waits for its reply `until` a time and 50 milliseconds longer at most: one look at the clock is
    /// for all who wait, and a timer for each would cost a tenth of what it watches. With `or_lost` it ends with the
    /// connection; else a reply may still come on the next one.
    ///
    /// Outside tokio's budget: a task that sends many at once uses it up, and of what is then put off tokio wakes first what
    /// came last. A send among many could wait until its time is over. It awaits the server, and so gives way to others anyway.
    pub(crate) async fn ask(
        &self,
        subject: Subject,
        headers: HeaderMap,
        payload: Bytes,
        or_lost: bool,
        until: Instant,
    ) -> Result<Reply, Unanswered> {
        let inbox = match self.inbox() {
            Some(inbox) => inbox,
            None => match timeout_at(until, Box::pin(self.begin())).await {
                Ok(begun) => begun.map_err(|_| Unanswered::Ended)?,
                Err(_) => return Ok(Reply::Late),
            },
        };
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut reply = String::with_capacity(inbox.len() + 20);
        let _ = write!(reply, "{inbox}{number}");
        let (tell, told) = oneshot::channel();
        let waits = Waits {
            subject: subject.clone(),
            connects: or_lost.then(|| self.0.connects()),
            until,
            tell,
        };
        if !self.0.enter(&inbox, number, waits) {
            return Err(Unanswered::Ended);
        }
        let mut asked = Asked {
            inner: &self.0,
            number,
            waits: true,
        };
        let mut sending = pin!(unconstrained(
            self.0
                .client
                .publish_with_reply_and_headers(subject, reply, headers, payload)
        ));
        // It waits where the client's queue is full, and only then.
        let sent = match poll_immediate(&mut sending).await {
            Some(sent) => sent,
            None => match timeout_at(until, sending).await {
                Ok(sent) => sent,
                Err(_) => return Ok(Reply::Late),
            },
        };
        sent.map_err(Unanswered::Unsent)?;
        let told = unconstrained(told).await;
        asked.waits = false;
        told.map_err(|_| Unanswered::Ended)
    }

    fn inbox(&self) -> Option<Arc<str>> {
        self.0.waiting().inbox.clone()
    }

    /// Subscribes, and reads what comes from now on.
    async fn begin(&self) -> Result<Arc<str>, SubscribeError> {
        let _beginning = self.0.beginning.lock().await;
        if let Some(inbox) = self.inbox() {
            return Ok(inbox);
        }
        let inbox: Arc<str> = format!("{}.", self.0.client.new_inbox()).into();
        let refused = self.0.refusals.heard();
        let replies = self.0.client.subscribe(format!("{inbox}*")).await?;
        self.0.waiting().inbox = Some(inbox.clone());
        let reading = Reading {
            inner: Arc::downgrade(&self.0),
            inbox: inbox.clone(),
        };
        let (over, connects) = (self.0.over.clone(), self.0.connects());
        let reading = async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = reading.read(replies, refused, connects) => {}
            }
        };
        match &self.0.runtime {
            Some(runtime) => drop(runtime.spawn(reading)),
            None => drop(tokio::spawn(reading)),
        }
        Ok(inbox)
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Whether what waits for a reply at `inbox` is written down: somebody has to read there still.
    fn enter(&self, inbox: &Arc<str>, number: u64, waits: Waits) -> bool {
        let mut waiting = self.waiting();
        let is_read = waiting
            .inbox
            .as_ref()
            .is_some_and(|read| Arc::ptr_eq(read, inbox));
        if is_read {
            waiting.by_number.insert(number, waits);
        }
        is_read
    }

    fn answered(&self, number: u64, message: Message) {
        let waits = self.waiting().by_number.remove(&number);
        // Whoever asked may have gone.
        if let Some(waits) = waits {
            drop(waits.tell.send(Reply::Message(message)));
        }
    }

    /// Tells those whose wait is over.
    fn tell(&self, which: impl Fn(&Waits) -> bool, reply: impl Fn() -> Reply) {
        let mut waiting = self.waiting();
        let over: Vec<_> = waiting.by_number.extract_if(|_, waits| which(waits)).collect();
        drop(waiting);
        for (_, waits) in over {
            drop(waits.tell.send(reply()));
        }
    }
}

/// The task that reads an inbox. However it ends, whoever waits is told, and the next who asks begins another one.
struct Reading {
    inner: Weak<Inner>,
    inbox: Arc<str>,
}

impl Reading {
    async fn read(self, mut replies: Subscriber, mut refused: Heard, mut connects: u64) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                reply = replies.next() => {
                    let (Some(reply), Some(inner)) = (reply, self.inner.upgrade()) else { return };
                    self.answer(&inner, reply);
                    // Whatever has come already, without looking at the rest.
                    while let Some(Some(reply)) = replies.next().now_or_never() {
                        self.answer(&inner, reply);
                    }
                }
                refusal = refused.next(|_| true) => {
                    let Some(inner) = self.inner.upgrade() else { return };
                    let ours = refusal.operation == Operation::Subscribe && refusal.subject.starts_with(&*self.inbox);
                    let there = |waits: &Waits| {
                        refusal.operation == Operation::Publish && *waits.subject == *refusal.subject
                    };
                    inner.tell(|waits| ours || there(waits), || Reply::Refused(refusal.clone()));
                    if ours {
                        // The next who asks subscribes anew: it may have been granted.
                        return;
                    }
                }
                _ = look.tick() => {
                    let Some(inner) = self.inner.upgrade() else { return };
                    // What has come is no later than the clock, though the process may have stood still.
                    while let Some(Some(reply)) = replies.next().now_or_never() {
                        self.answer(&inner, reply);
                    }
                    let now = inner.connects();
                    if std::mem::replace(&mut connects, now) != now {
                        inner.tell(|waits| waits.connects.is_some_and(|then| then < now), || Reply::Lost);
                    }
                    let now = Instant::now();
                    inner.tell(|waits| waits.until <= now, || Reply::Late);
                }
            }
        }
    }

    fn answer(&self, inner: &Inner, reply: Message) {
        let number = reply.subject.strip_prefix(&*self.inbox);
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            inner.answered(number, reply);
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            let mut waiting = inner.waiting();
            waiting.inbox = None;
            waiting.by_number.clear();
        }
    }
}

/// A message that waits for its reply; whoever stops waiting is forgotten.
struct Asked<'a> {
    inner: &'a Inner,
    number: u64,
    waits: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.inner.waiting().by_number.remove(&self.number);
        }
    }
}
