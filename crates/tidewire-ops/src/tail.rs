//! What passes by: live messages, and before them what streams still have.

mod history;
mod overlap;
mod seen;

use std::time::Duration;

use futures_util::StreamExt;
use tidewire::{Connection, SubjectFilter, async_nats::Subscriber};
use tokio::{task::yield_now, time::sleep};

use crate::{api, error::OpsError};
use history::Past;
use overlap::Overlap;
pub use seen::{Content, Seen};

/// How long the client may take to tell of a refused subscription after the server has answered what came later.
const TOLD_WITHIN: Duration = Duration::from_millis(20);

/// How much of what was stored before is shown first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// Nothing: live messages alone.
    #[default]
    Nothing,
    /// This many messages, the newest ones, over all streams.
    Last(u64),
    /// Everything that the streams still have.
    All,
}

/// Messages on a filter, one by one.
///
/// Nothing is acknowledged and no durable consumer is made: whoever else reads these messages does not notice. A filter
/// that begins with a wildcard does not show subjects that begin with `$` or `_`, which are the server's and inboxes.
#[derive(Debug)]
pub struct Tail {
    filter: SubjectFilter,
    past: Option<Past>,
    live: Subscriber,
    overlap: Overlap,
    nats: Connection,
}

impl Tail {
    /// Listens from now on, and looks for what is to be shown first.
    ///
    /// # Errors
    /// [`OpsError::Filter`], [`OpsError::NotPermitted`], or what the server or the connection refused.
    pub async fn open(nats: &Connection, filter: &str, history: History) -> Result<Self, OpsError> {
        let filter = SubjectFilter::parse(filter).map_err(|error| OpsError::Filter(error.to_string()))?;
        // Before the subscription: what is stored after this look may come both ways.
        let sources = match history {
            History::Nothing => Vec::new(),
            _ => history::sources(nats, &filter).await?,
        };
        let subscribing = async {
            let live = nats.client().subscribe(filter.to_string()).await;
            let live = live.map_err(|error| OpsError::Connection(error.into()))?;
            api::round_trip(nats).await?;
            sleep(TOLD_WITHIN).await;
            // A refusal that has come by now goes before the end of this: it is looked at where this has to wait.
            yield_now().await;
            Ok::<_, OpsError>(live)
        };
        let live = nats.unless_refused(&[filter.as_str()], subscribing).await??;
        let past = match history {
            History::Nothing => None,
            History::Last(count) => Some(Past::open(nats, sources, &filter, Some(count)).await?),
            History::All => Some(Past::open(nats, sources, &filter, None).await?),
        };
        Ok(Self {
            filter,
            past,
            live,
            overlap: Overlap::default(),
            nats: nats.clone(),
        })
    }

    /// The next message; `None` once the connection is closed.
    ///
    /// # Errors
    /// [`OpsError`] where a stream cannot be read any further.
    pub async fn next(&mut self) -> Result<Option<Seen>, OpsError> {
        while let Some(past) = &mut self.past {
            if let Some(seen) = past.next(&self.nats, &mut self.overlap).await? {
                if !is_hidden(&self.filter, &seen.subject) {
                    return Ok(Some(seen));
                }
            } else {
                self.past = None;
                // What was sent before this moment is in the subscription's queue by now.
                api::round_trip(&self.nats).await?;
                self.overlap.ends_after(&mut self.live);
            }
        }
        loop {
            let seen = match self.overlap.next() {
                Some(seen) => seen,
                None => match self.live.next().await {
                    Some(message) => Seen::live(message),
                    None => return Ok(None),
                },
            };
            if !is_hidden(&self.filter, &seen.subject) {
                return Ok(Some(seen));
            }
        }
    }
}

/// Whether a wildcard let through what nobody meant.
fn is_hidden(filter: &SubjectFilter, subject: &str) -> bool {
    filter.as_str().starts_with(['*', '>']) && subject.starts_with(['$', '_'])
}
