//! What the streams do not capture of what is sent to them.
//!
//! The server takes a publish that no stream captures as well: whoever listens hears it, and it is stored nowhere. So it is
//! not sent where that is known: to a service that looks at its streams, and to a tool, which looks before it sends. Where
//! the answer is late or refused it is sent, and the server says what becomes of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tidewire_core::SubjectFilter;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    connection::Connection,
    stream::{captured, find},
};

/// The streams that capture less than a service sends to them. Who looks after the streams tells it, and who sends asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uncaptured(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    streams: watch::Sender<Streams>,
    /// Whether there are some: nobody takes the lock where all is well.
    any: AtomicBool,
}

/// Each with what it does capture.
type Streams = BTreeMap<String, Vec<SubjectFilter>>;

impl Uncaptured {
    /// The stream captures this alone, which is less than is sent to it.
    pub(crate) fn lacks(&self, stream: &str, captured: Vec<SubjectFilter>) {
        self.change(|streams| {
            streams.insert(stream.to_owned(), captured);
        });
    }

    /// The stream captures all that is sent to it, or it is not known what.
    pub(crate) fn is_whole(&self, stream: &str) {
        if self.any() {
            self.change(|streams| {
                streams.remove(stream);
            });
        }
    }

    /// Nobody looks after the streams any more, and it is not known what they capture.
    pub(crate) fn ends(&self) {
        self.change(BTreeMap::clear);
    }

    fn change(&self, change: impl FnOnce(&mut Streams)) {
        self.0.streams.send_modify(|streams| {
            change(streams);
            self.0.any.store(!streams.is_empty(), Ordering::Release);
        });
    }

    /// Whether some stream lacks something, as far as is known.
    pub(crate) fn any(&self) -> bool {
        self.0.any.load(Ordering::Acquire)
    }

    /// The streams that lack something.
    pub(crate) fn streams(&self) -> Vec<String> {
        self.0.streams.borrow().keys().cloned().collect()
    }

    /// Waits as long as it is known that the stream does not capture the subject; `false` where the time is over.
    pub(crate) async fn is_over_by(&self, deadline: Instant, stream: &str, subject: &str) -> bool {
        let mut streams = self.0.streams.subscribe();
        let over = streams.wait_for(|streams| {
            let captured = streams.get(stream);
            captured.is_none_or(|captured| captured.iter().any(|filter| filter.matches(subject)))
        });
        timeout_at(deadline, over).await.is_ok()
    }
}

/// Asks whether the stream captures the subject; `None` where that is not told.
pub(crate) async fn is_captured(nats: &Connection, stream: &str, subject: &str) -> Option<bool> {
    let found = find(nats, stream).await.ok()?;
    Some(found.is_some_and(|config| captured(&config).iter().any(|filter| filter.matches(subject))))
}
