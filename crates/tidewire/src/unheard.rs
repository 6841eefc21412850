//! Acks on their way, and acks that may have gone down with a connection: those are said again on the next one.
//!
//! Handlers run on threads of their own. What they settle is published from the runtime of the connection, as many at a
//! time as have come together: a hand-over for each of them would cost more than the ack.
//!
//! No server answers an ack. Until a message to ourselves has made its way behind it nobody knows that it arrived, and
//! where it did not, a message that was handled would run again after its ack wait.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Message, Subject};
use bytes::Bytes;
use futures_util::future::poll_immediate;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::sender::Sender;

/// How long words are gathered before a message to ourselves follows them.
const GATHER: Duration = Duration::from_millis(20);
/// So many words keep their messages; where more of them wait, the connection is slow, and memory dearer than time.
const KEPT: usize = 1024;

/// The last words on messages, until the server has surely heard them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unheard(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Not published yet.
    unsaid: Mutex<Vec<Word>>,
    /// Published, and perhaps not heard.
    said: Mutex<VecDeque<Word>>,
    /// Held while words are published.
    saying: AsyncMutex<()>,
    /// Rings when there is a first one that is unsaid, and a first one that was said.
    first_unsaid: Notify,
    first_said: Notify,
}

/// What was said of one message. Saying it twice is saying it once: the server forgets a message with the first.
#[derive(Clone, Debug)]
struct Word {
    ack: Subject,
    payload: Bytes,
    /// From then on the message may be somebody else's.
    until: Instant,
    /// What it is about, until it is said: memory that the connection's thread has asked for, and gives back at less cost
    /// than another one.
    message: Option<Arc<Message>>,
}

impl Unheard {
    /// Says a word soon, and again if need be before `until`.
    pub(crate) fn say(&self, ack: Subject, payload: Bytes, until: Instant, message: Arc<Message>) {
        let mut unsaid = lock(&self.0.unsaid);
        let message = (unsaid.len() < KEPT).then_some(message);
        unsaid.push(Word {
            ack,
            payload,
            until,
            message,
        });
        let is_first = unsaid.len() == 1;
        drop(unsaid);
        if is_first {
            self.0.first_unsaid.notify_one();
        }
    }

    /// Publishes what is unsaid; when it returns the client has all of it.
    pub(crate) async fn flush(&self, sender: &Sender) {
        let _saying = self.0.saying.lock().await;
        let mut words = std::mem::take(&mut *lock(&self.0.unsaid));
        let leaving: Vec<_> = words
            .iter_mut()
            .map(|word| {
                let (ack, payload) = (word.ack.clone(), word.payload.clone());
                (ack, payload, word.until, word.message.take())
            })
            .collect();
        // On record before they leave: what is published while the connection goes down is said again.
        {
            let mut said = lock(&self.0.said);
            if said.is_empty() && !words.is_empty() {
                self.0.first_said.notify_one();
            }
            said.extend(words);
        }
        let (mut client, mut now) = (sender.client(), Instant::now());
        for (ack, payload, until, _message) in leaving {
            // It may be somebody else's by now.
            if until <= now {
                continue;
            }
            let published = {
                let mut publishing = pin!(client.publish(ack.clone(), payload.clone()));
                if let Some(published) = poll_immediate(&mut publishing).await {
                    published
                } else {
                    let published = publishing.await;
                    now = Instant::now();
                    published
                }
            };
            if published.is_ok() {
                continue;
            }
            if let Err(error) = sender.tell(ack, payload).await {
                tracing::warn!(%error, "messages could not be settled; the next connection hears it, or they come again");
                return;
            }
            (client, now) = (sender.client(), Instant::now());
        }
    }

    /// Says what is to be said, forgets what the server has heard, and says again what a lost connection may have cost,
    /// until the service is over.
    pub(crate) async fn run(self, sender: Sender, over: CancellationToken) {
        let saying = async {
            loop {
                self.0.first_unsaid.notified().await;
                self.flush(&sender).await;
            }
        };
        tokio::select! {
            () = saying => {}
            () = self.repeat(&sender) => {}
            () = over.cancelled() => {}
        }
    }

    async fn repeat(&self, sender: &Sender) {
        let connects = || sender.connection().living().connects();
        let mut connection = connects();
        loop {
            self.0.first_said.notified().await;
            while !lock(&self.0.said).is_empty() {
                sleep(GATHER).await;
                let now = connects();
                if std::mem::replace(&mut connection, now) != now {
                    self.say_again(sender).await;
                }
                let said = lock(&self.0.said).len();
                // Those among them that are still being published are in the client before the message to ourselves.
                drop(self.0.saying.lock().await);
                if sender.round_trip().await.is_ok() && connects() == connection {
                    lock(&self.0.said).drain(..said);
                }
            }
        }
    }

    async fn say_again(&self, sender: &Sender) {
        let words = {
            let (mut words, now) = (lock(&self.0.said), Instant::now());
            words.retain(|word| word.until > now);
            words.clone()
        };
        tracing::debug!(
            acks = words.len(),
            "the connection is another one; these are said again"
        );
        for Word {
            ack, payload, until, ..
        } in words
        {
            if until > Instant::now() && sender.tell(ack, payload).await.is_err() {
                // The next connection hears them all.
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
