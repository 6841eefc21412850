//! What another client hears, whether a stream keeps it or not.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tidewire::{
    Connection,
    async_nats::{Message, Subscriber},
};

use crate::support::soon;

/// Listens to some subjects.
pub(crate) struct Overheard {
    heard: Vec<Subscriber>,
    /// Where it is said that all has come.
    mark: String,
    marks: Subscriber,
}

impl Overheard {
    pub(crate) async fn of(nats: Connection, subjects: &[&str]) -> Self {
        let client = nats.client();
        let mut heard = Vec::new();
        for subject in subjects {
            heard.push(client.subscribe((*subject).to_owned()).await.unwrap());
        }
        let mark = client.new_inbox();
        let marks = client.subscribe(mark.clone()).await.unwrap();
        let mut overheard = Self { heard, mark, marks };
        // The server has the subscriptions once the mark came back.
        assert_eq!(overheard.until_now(&nats).await.len(), 0);
        overheard
    }

    /// What has come so far of all that `sender` has sent until now.
    pub(crate) async fn until_now(&mut self, sender: &Connection) -> Vec<Message> {
        let client = sender.client();
        client.publish(self.mark.clone(), "".into()).await.unwrap();
        soon(Duration::from_secs(30), "the mark comes", self.marks.next())
            .await
            .unwrap();
        let mut all = Vec::new();
        for heard in &mut self.heard {
            while let Some(Some(message)) = heard.next().now_or_never() {
                all.push(message);
            }
        }
        all
    }
}
