//! What was on its way when a connection was lost.
//!
//! The server has delivered it, nobody has received it, and it comes again when its ack wait of 30 seconds is over. Who is
//! alone on a consumer can know it: first deliveries come in the order of the stream, so what lies between the last one
//! before the loss and the first one after it has not arrived.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{connection::Connection, consumer::ConsumerSpec};

/// How long other instances are waited for; longer than what is on its way to this one takes.
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);

/// After this long every instance that lives has its connection back: the longest pause between two tries, with its jitter,
/// and a try.
const ALL_BACK: Duration = Duration::from_secs(6);

/// By then what was lost comes again by itself. Of a durable that is ordered by key only one instance subscribes, and the
/// others would wait for it for ever.
const COMES_AGAIN: Duration = Duration::from_secs(30);

/// How far this instance has received a consumer's messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The last message that came for the first time; also what was delivered before this instance began.
    highest: u64,
    /// Nothing came for the first time since the last subscription began.
    fresh: bool,
    /// The number of the connection on which that was. On a later one it is not known yet what the loss of an earlier one
    /// has cost.
    connection: u64,
    /// What was skipped.
    gaps: Vec<RangeInclusive<u64>>,
}

impl Received {
    /// What was delivered before is nobody's loss: it may wait for its turn after a failure.
    pub(crate) fn begins_after(&self, delivered: u64) {
        let mut state = self.lock();
        state.highest = state.highest.max(delivered);
    }

    /// Another subscription begins, on the connection of this number.
    pub(crate) fn anew(&self, connection: u64) {
        let mut state = self.lock();
        state.fresh = true;
        state.connection = connection;
    }

    /// A message came, for the first time.
    pub(crate) fn came(&self, sequence: u64) {
        let mut state = self.lock();
        if sequence <= state.highest {
            return;
        }
        if std::mem::take(&mut state.fresh) && sequence > state.highest + 1 {
            let gap = state.highest + 1..=sequence - 1;
            state.gaps.push(gap);
        }
        state.highest = sequence;
    }

    pub(super) fn none_lost(&self) {
        self.lock().gaps.clear();
    }

    /// What a message that cost the last connection is among, most likely: it was delivered, and this instance has not
    /// received it. Before anything is subscribed to on the connection of this number it is among all that came late.
    pub(super) fn suspects(&self, delivered: u64, connection: u64) -> Vec<RangeInclusive<u64>> {
        let state = self.lock();
        let nothing_came = state.fresh || state.connection < connection;
        let last = (nothing_came && delivered > state.highest).then(|| state.highest + 1..=delivered);
        last.into_iter().chain(state.gaps.iter().rev().cloned()).collect()
    }

    /// What is lost all the same: it could not be given back.
    pub(super) fn is_lost_still(&self, sequence: u64) {
        self.lock().gaps.push(sequence..=sequence);
    }

    /// Whether it is known what was lost before the connection of this number.
    fn knows_before(&self, connection: u64) -> bool {
        self.lock().connection >= connection
    }

    fn may_have_lost(&self, delivered: u64) -> bool {
        let state = self.lock();
        !state.gaps.is_empty() || state.fresh && delivered > state.highest
    }

    /// What did not arrive of all up to `delivered`; it is told once.
    fn lost(&self, delivered: u64) -> Vec<RangeInclusive<u64>> {
        let mut state = self.lock();
        let mut lost = std::mem::take(&mut state.gaps);
        if state.fresh && delivered > state.highest {
            lost.push(state.highest + 1..=delivered);
            state.highest = delivered;
        }
        lost
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was delivered up to `delivered` and did not arrive; nothing where the service has other instances, which may have
/// it in hand. `None` where not even this instance has answered who there is: it is asked again.
pub(super) async fn of_this_instance(
    nats: &Connection,
    spec: &ConsumerSpec,
    instance: &str,
    delivered: u64,
    connection: u64,
    connected_for: Duration,
) -> Option<Vec<RangeInclusive<u64>>> {
    if connected_for < COMES_AGAIN && !spec.received.knows_before(connection) {
        return None;
    }
    if !spec.received.may_have_lost(delivered) {
        return Some(Vec::new());
    }
    // The others may be coming back still, and then they have in hand what this instance has not.
    if connected_for < ALL_BACK {
        return None;
    }
    // What is only late arrives while the other instances are waited for.
    let alone = is_alone(nats, &spec.service, instance).await?;
    let lost = spec.received.lost(delivered);
    Some(if alone { lost } else { Vec::new() })
}

/// Whether the service has no instance but this one. Where that may not be asked it is taken to have others.
async fn is_alone(nats: &Connection, service: &str, instance: &str) -> Option<bool> {
    #[derive(Deserialize)]
    struct Pong {
        id: String,
    }
    let (client, subject) = (nats.client(), format!("$SRV.PING.{service}"));
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.ok()?;
    let mut alone = None;
    let gathering = timeout(ANSWERED_WITHIN, async {
        if client
            .publish_with_reply(subject.clone(), inbox, "".into())
            .await
            .is_err()
        {
            return;
        }
        while let Some(answer) = answers.next().await {
            if let Ok(pong) = serde_json::from_slice::<Pong>(&answer.payload) {
                alone = Some(alone.unwrap_or(true) && pong.id == instance);
            }
        }
    });
    match nats.refusals().publishing(&subject, gathering).await {
        Ok(_) => alone,
        Err(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_subscriptions_is_lost() {
        let received = Received::default();
        received.begins_after(10);
        received.anew(1);
        received.came(11);
        // A gap without a new subscription is another instance's, or of other subjects.
        received.came(13);
        received.anew(2);
        received.came(7);
        received.came(17);
        received.came(18);
        assert_eq!(received.suspects(20, 2), [14..=16]);
        assert_eq!(received.lost(20), [14..=16], "what is on its way comes");
        received.anew(3);
        assert_eq!(received.suspects(20, 3), [19..=20]);
        assert_eq!(received.lost(20), [19..=20]);
        assert_eq!(received.lost(20), []);
        received.is_lost_still(20);
        assert_eq!(received.lost(20), [20..=20], "for another try");
    }

    #[test]
    fn what_a_connection_has_cost_is_not_known_before_the_next_subscription() {
        let received = Received::default();
        received.anew(1);
        received.came(1);
        assert!(received.knows_before(1));
        // Somebody looks on the second connection before anything is subscribed to there: 2 was delivered and has died.
        assert!(!received.may_have_lost(2) && !received.knows_before(2));
        assert_eq!(received.suspects(2, 2), [2..=2]);
        received.anew(2);
        assert!(received.may_have_lost(2) && received.knows_before(2));
    }
}
