//! Acks that may have gone down with a connection are said again on the next one.
//!
//! No server answers an ack. Until a message to ourselves has made its way behind it nobody knows that it arrived, and
//! where it did not, a message that was handled would run again after its ack wait.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::Subject;
use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::sender::Sender;

/// How long words are gathered before a message to ourselves follows them.
const GATHER: Duration = Duration::from_millis(20);

/// The last words on messages, until the server has surely heard them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unheard {
    words: Arc<Mutex<VecDeque<Word>>>,
    /// Rings when there is a first one.
    first: Arc<Notify>,
}

/// What was said of one message. Saying it twice is saying it once: the server forgets a message with the first.
#[derive(Clone, Debug)]
struct Word {
    ack: Subject,
    payload: Bytes,
    /// From then on the message may be somebody else's.
    until: Instant,
}

impl Unheard {
    /// Keeps a word that is about to be said, to say it again if need be before `until`.
    pub(crate) fn keep(&self, ack: Subject, payload: Bytes, until: Instant) {
        let mut words = self.lock();
        words.push_back(Word { ack, payload, until });
        if words.len() == 1 {
            self.first.notify_one();
        }
    }

    /// Forgets what the server has heard, and says again what a lost connection may have cost, until the service is over.
    pub(crate) async fn run(self, sender: Sender, over: CancellationToken) {
        let repeating = async {
            let connects = || sender.connection().living().connects();
            let mut connection = connects();
            loop {
                self.first.notified().await;
                while !self.lock().is_empty() {
                    sleep(GATHER).await;
                    let now = connects();
                    if std::mem::replace(&mut connection, now) != now {
                        self.say_again(&sender).await;
                    }
                    let said = self.lock().len();
                    if sender.round_trip().await.is_ok() && connects() == connection {
                        self.lock().drain(..said);
                    }
                }
            }
        };
        tokio::select! {
            () = repeating => {}
            () = over.cancelled() => {}
        }
    }

    async fn say_again(&self, sender: &Sender) {
        let words = {
            let (mut words, now) = (self.lock(), Instant::now());
            words.retain(|word| word.until > now);
            words.clone()
        };
        tracing::debug!(
            acks = words.len(),
            "the connection is another one; these are said again"
        );
        for Word { ack, payload, .. } in words {
            if sender.tell(ack, payload).await.is_err() {
                // The next connection hears them all.
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Word>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
