//! Messages that the client cannot take, put away so that the rest flows.
//!
//! Any program may store a message whose headers async-nats cannot read. To receive it kills the client or costs it its
//! connection, and nothing says which message it was. So whenever the service has a new connection, another one, which
//! receives nothing from consumers, looks through what they have delivered and nobody has settled. It reads by
//! `STREAM.MSG.GET`, which answers in JSON with the headers as base64. What no client could have taken is stored in the
//! dead letters, byte for byte, and terminated once that is confirmed.

mod letter;
mod lost;
mod poison;
mod read;
mod settle;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tidewire_core::BoxError;
use tokio::time::{Instant, sleep_until};

use crate::{
    connection::{Connection, Refusal},
    consumer::{ConsumerSpec, Desk},
    wiring::Wiring,
};

pub(crate) use lost::Received;
use poison::Poison;
use read::{Place, Reader, StoredMessage};

/// How many messages one look at a consumer reads at the most.
const MOST: usize = 10_000;
/// After a look that was cut short the next one begins where it ended; also where it is not known what was lost.
const GO_ON_AFTER: Duration = Duration::from_secs(1);
/// After a look that failed, or a letter that could not be stored.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Looks after the consumers of one service.
#[derive(Debug)]
pub(crate) struct Quarantine {
    wiring: Wiring,
    /// Each with the desk of its durable, which would get what cannot be received.
    consumers: Vec<(ConsumerSpec, Arc<Desk>)>,
    /// This instance among those of the service, by the services protocol.
    instance: String,
    /// The number of the connection of now, and when it began.
    connection: u64,
    connected_at: Instant,
    /// Where the next look goes on, by consumer and filter; empty where the last one was not cut short.
    places: HashMap<(usize, usize), u64>,
}

/// How a look at a consumer ended.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Whole,
    /// There is more to read.
    Cut,
    /// What was lost with the connection is not known yet.
    Unsure,
}

impl Quarantine {
    pub(crate) fn new(wiring: &Wiring, instance: String, consumers: Vec<(ConsumerSpec, Arc<Desk>)>) -> Self {
        Self {
            wiring: wiring.clone(),
            consumers,
            instance,
            connection: 0,
            connected_at: Instant::now(),
            places: HashMap::new(),
        }
    }

    /// Looks at each new connection, until the service stops.
    pub(crate) async fn run(mut self) {
        let mut connections = self.wiring.connections.clone();
        let stop = self.wiring.stop.clone();
        let mut next = None;
        loop {
            let due = next.unwrap_or_else(Instant::now);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = connections.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.connection = *connections.borrow_and_update();
                    self.connected_at = Instant::now();
                }
                () = sleep_until(due), if next.is_some() => {}
            }
            let again = tokio::select! {
                // What is stored and not yet terminated is met again, and recognised.
                () = stop.cancelled() => return,
                again = self.look() => again,
            };
            next = again.map(|pause| Instant::now() + pause);
        }
    }

    /// Looks at every consumer; says after how long to look again, if need be.
    async fn look(&mut self) -> Option<Duration> {
        let nats = match self.wiring.sender.connection().beside().await {
            Ok(nats) => nats,
            Err(error) => {
                tracing::warn!(%error, "cannot look for messages with malformed headers; trying again");
                return Some(AGAIN_AFTER);
            }
        };
        let mut again = None;
        for index in 0..self.consumers.len() {
            let (spec, desk) = self.consumers[index].clone();
            let pause = match self.consumer(&nats, index, &spec, &desk).await {
                Ok(Look::Whole) => None,
                Ok(Look::Unsure) => Some(GO_ON_AFTER),
                Ok(Look::Cut) => {
                    tracing::warn!(stream = %spec.stream, consumer = %spec.name, read = MOST,
                        "more waits than one look for malformed headers reads; going on");
                    Some(GO_ON_AFTER)
                }
                Err(error) => {
                    tracing::warn!(stream = %spec.stream, consumer = %spec.name, %error,
                        "cannot look for messages with malformed headers");
                    // What is not permitted is asked again at the next connection: most never need it.
                    (!error.is::<Refusal>()).then_some(AGAIN_AFTER)
                }
            };
            again = again.max(pause);
        }
        again
    }

    async fn consumer(
        &mut self,
        nats: &Connection,
        index: usize,
        spec: &ConsumerSpec,
        desk: &Desk,
    ) -> Result<Look, BoxError> {
        let place = read::consumer(nats, spec).await?;
        if place.unsettled == 0 {
            spec.received.none_lost();
            return Ok(Look::Whole);
        }
        let everything = [">".to_owned()];
        let filters = if spec.filters.is_empty() {
            &everything
        } else {
            spec.filters.as_slice()
        };
        let mut failed = None;
        let mut left = MOST;
        // First where it most likely is: behind a message that is tried again for long, all that lies between is settled.
        for range in spec.received.suspects(place.delivered, self.connection) {
            for filter in filters {
                let mut reader = Reader::new(nats, &spec.stream, filter, *range.start(), *range.end());
                while left > 0
                    && let Some(message) = reader.next().await?
                {
                    left -= 1;
                    if let Some(poison) = Poison::of(&message) {
                        let put_away = put_away(nats, spec, desk, place, &message, poison);
                        failed = put_away.await.err().or(failed);
                    }
                }
            }
        }
        let lost = lost::of_this_instance(
            nats,
            spec,
            &self.instance,
            place.delivered,
            self.connection,
            self.connected_at.elapsed(),
        )
        .await;
        let look = if lost.is_some() { Look::Whole } else { Look::Unsure };
        let lost = lost.unwrap_or_default();
        for (number, filter) in filters.iter().enumerate() {
            let from = self.places.get(&(index, number)).copied();
            let mut reader = Reader::new(
                nats,
                &spec.stream,
                filter,
                from.unwrap_or(place.floor + 1),
                place.delivered,
            );
            while let Some(message) = reader.next().await? {
                if let Some(poison) = Poison::of(&message) {
                    let put_away = put_away(nats, spec, desk, place, &message, poison);
                    failed = put_away.await.err().or(failed);
                } else if lost.iter().any(|range| range.contains(&message.sequence))
                    && let Err(error) = settle::give_back(nats, spec, place, &message).await
                {
                    spec.received.is_lost_still(message.sequence);
                    failed = Some(error);
                }
                left = left.saturating_sub(1);
                if left == 0 {
                    self.places.insert((index, number), message.sequence + 1);
                    return Ok(Look::Cut);
                }
            }
            self.places.insert((index, number), place.delivered + 1);
        }
        self.places.retain(|(consumer, _), _| *consumer != index);
        failed.map_or(Ok(look), Err)
    }
}

/// Stores the letter, and lets the message go once the letter is confirmed.
async fn put_away(
    nats: &Connection,
    spec: &ConsumerSpec,
    desk: &Desk,
    place: Place,
    message: &StoredMessage,
    poison: Poison,
) -> Result<(), BoxError> {
    let letter = letter::store(nats, spec, desk, message, poison).await?;
    let (stream, sequence, subject, consumer) =
        (&*spec.stream, message.sequence, &*message.subject, &*spec.name);
    match settle::term(nats, spec, place, message).await {
        Ok(()) => {
            tracing::error!(stream, sequence, subject, consumer, %letter, %poison,
                "no client can take this message; it is in the dead letters, and the rest goes on");
            Ok(())
        }
        Err(error) => {
            tracing::error!(stream, sequence, subject, consumer, %letter, %error, %poison,
                "no client can take this message; it is in the dead letters, but could not be settled, and is tried again");
            Err(error)
        }
    }
}
