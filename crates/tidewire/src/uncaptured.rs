//! What the streams do not capture of what is sent to them.
//!
//! The server takes a publish that no stream captures as well: whoever listens hears it, and it is stored nowhere. So it is
//! not sent where that is known. A service looks at its streams every few seconds, and at once where a publish was not
//! confirmed; a tool looks before it sends.

use std::{collections::BTreeMap, sync::Arc};

use async_nats::jetstream::stream::Config;
use tidewire_core::SubjectFilter;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use crate::{
    connection::Connection,
    start_error::StartError,
    stream::{find, streams_overlapping},
};

/// The streams that capture less than is sent to them. Who looks after the streams tells it, and who sends asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uncaptured(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Each with what it does capture.
    streams: watch::Sender<BTreeMap<String, Vec<SubjectFilter>>>,
    doubts: Notify,
}

impl Uncaptured {
    /// The stream captures this alone, which is less than is sent to it.
    pub(crate) fn lacks(&self, stream: &str, captured: &[SubjectFilter]) {
        self.0.streams.send_if_modified(|streams| {
            let before = streams.insert(stream.to_owned(), captured.to_vec());
            before.is_none_or(|before| before != captured)
        });
    }

    /// The stream captures all that is sent to it, or it is not known what.
    pub(crate) fn is_whole(&self, stream: &str) {
        self.0
            .streams
            .send_if_modified(|streams| streams.remove(stream).is_some());
    }

    /// Nobody looks after the streams any more, and it is not known what they capture.
    pub(crate) fn ends(&self) {
        self.0.streams.send_replace(BTreeMap::new());
    }

    /// Whether no stream lacks anything, as far as is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.streams.borrow().is_empty()
    }

    /// Whether it is known that the stream does not capture the subject.
    pub(crate) fn has(&self, stream: &str, subject: &str) -> bool {
        has(&self.0.streams.borrow(), stream, subject)
    }

    /// Waits until the stream captures the subject, or nobody knows that it does not; `false` where the time is over.
    pub(crate) async fn is_over_by(&self, deadline: Instant, stream: &str, subject: &str) -> bool {
        let mut streams = self.0.streams.subscribe();
        let over = streams.wait_for(|streams| !has(streams, stream, subject));
        timeout_at(deadline, over).await.is_ok()
    }

    /// A publish was not confirmed: it is to be looked why.
    pub(crate) fn doubts(&self) {
        self.0.doubts.notify_one();
    }

    /// Returns once there was a doubt since it returned last.
    pub(crate) async fn doubted(&self) {
        self.0.doubts.notified().await;
    }
}

fn has(streams: &BTreeMap<String, Vec<SubjectFilter>>, stream: &str, subject: &str) -> bool {
    streams
        .get(stream)
        .is_some_and(|captured| !captured.iter().any(|filter| filter.matches(subject)))
}

/// What a stream with these settings captures.
pub(crate) fn captured(config: &Config) -> Vec<SubjectFilter> {
    let subjects = config.subjects.iter();
    subjects
        .filter_map(|subject| SubjectFilter::parse(subject).ok())
        .collect()
}

/// Asks whether the stream captures the subject; yes, where that is not told.
pub(crate) async fn is_captured(nats: &Connection, stream: &str, subject: &str) -> bool {
    match find(nats, stream).await {
        Ok(Some(config)) => captured(&config).iter().any(|filter| filter.matches(subject)),
        Ok(None) | Err(StartError::NoJetStream { .. }) => false,
        Err(_) => true,
    }
}

/// Asks for a stream that captures the subject, as far as this user may hear of it.
pub(crate) async fn capturing(nats: &Connection, subject: &str) -> Option<String> {
    let streams = streams_overlapping(nats, subject).await.ok()?;
    streams.into_iter().next()
}
