//! The consumers of durables, as the server has them at one moment.

mod listing;
mod state;

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tidewire::{Connection, Timestamp, wire};

use crate::{api, error::OpsError};

use listing::{Listed, consumers_of, streams};
pub use state::ConsumerState;
#[cfg(test)]
pub(crate) use state::Info;

/// How many questions are under way at a time: enough that hundreds of streams take a second, and few enough that no
/// server notices.
pub(crate) const AT_ONCE: usize = 16;

/// Which consumers are meant.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Those of this service; of all where there is none.
    pub service: Option<String>,
    /// Also those that are not Tidewire's. Where a service is named, a foreign one has none.
    pub foreign: bool,
}

/// Every consumer that was meant, at one moment.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Consumers {
    /// When they were read, by this machine's clock.
    pub time: Timestamp,
    /// The consumers, by stream and name.
    pub consumers: Vec<ConsumerState>,
    /// What did not answer. What was meant may be among it.
    pub unanswered: Vec<Unanswered>,
}

/// A stream or a consumer that has no leader, or whose server is away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Unanswered {
    /// The stream.
    pub stream: String,
    /// The consumer; `None` where it is the stream itself, and nothing is known of its consumers.
    pub consumer: Option<String>,
}

impl Consumers {
    /// Asks the server for all of them: one page of 256 consumers after the other, 16 streams at a time.
    ///
    /// # Errors
    /// [`OpsError::NotPermitted`] or [`OpsError::JetStream`]. A stream or consumer that is removed meanwhile is none, and
    /// one without a leader is named in [`unanswered`](Self::unanswered).
    pub async fn read(nats: &Connection, scope: &Scope) -> Result<Self, OpsError> {
        let listed = streams(nats).await?;
        let reading = listed
            .found
            .into_iter()
            .map(|stream| async move { consumers_of(nats, &stream).await });
        let read: Vec<Listed<ConsumerState>> = stream::iter(reading)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut unanswered = listed.unanswered;
        let mut consumers = Vec::new();
        for mut one in read {
            unanswered.append(&mut one.unanswered);
            consumers.extend(one.found.into_iter().filter(|state| scope.means(state)));
        }
        consumers.sort_by(|one, other| one.place().cmp(&other.place()));
        unanswered.sort();
        let mut read = Self {
            time: api::now(),
            consumers,
            unanswered,
        };
        read.count_parked(nats).await?;
        Ok(read)
    }

    /// What durables that are ordered by key have parked lies in the streams of their services.
    async fn count_parked(&mut self, nats: &Connection) -> Result<(), OpsError> {
        let replays = |state: &&mut ConsumerState| state.replays && state.ordered_by_key;
        let mut parked: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for state in self.consumers.iter_mut().filter(replays) {
            let (Some(service), Some(durable)) = (&state.service, &state.durable) else {
                continue;
            };
            if !parked.contains_key(service) {
                let counts = listing::parked(nats, &state.stream, service).await?;
                parked.insert(service.clone(), counts);
            }
            let count = parked.get(service).and_then(|counts| counts.get(durable));
            state.parked = count.copied().unwrap_or(0);
        }
        Ok(())
    }
}

impl Scope {
    fn means(&self, state: &ConsumerState) -> bool {
        match (&self.service, &state.service) {
            (Some(wanted), found) => found.as_ref() == Some(wanted),
            (None, Some(_)) => true,
            (None, None) => self.foreign,
        }
    }
}

/// Whether a consumer is the one through which a durable hears replayed letters.
fn hears_replays(stream: &str, service: &str, filters: &[String]) -> bool {
    stream == wire::service_stream(service) && filters.iter().all(|filter| filter.starts_with("retry."))
}
