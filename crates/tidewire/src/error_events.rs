//! Telling of errors, for whoever watches.

use tidewire_core::{ErrorEvent, Stamp, wire};
use tokio::sync::mpsc;

use crate::{connection::Connection, guarded::store, metrics::Errors, wiring::Wiring};

/// How many wait to be sent. Where more fail in a moment, the log and the counts say so and the events do not.
const WAITING: usize = 1024;

/// Sends error events beside the work: an outage must not wait for its own reports.
#[derive(Clone, Debug)]
pub(crate) struct ErrorEvents {
    events: mpsc::Sender<(ErrorEvent, Stamp)>,
    counts: Errors,
}

impl ErrorEvents {
    pub(crate) fn start(wiring: &Wiring) -> Self {
        let (events, mut waiting) = mpsc::channel::<(ErrorEvent, Stamp)>(WAITING);
        let counts = Errors::of(wiring.sender.service());
        let counted = counts.clone();
        let (nats, over) = (wiring.sender.connection().clone(), wiring.over.clone());
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    () = over.cancelled() => return,
                    next = waiting.recv() => next,
                };
                let Some((event, stamp)) = next else { return };
                counted.count(if send(&nats, &event, &stamp).await {
                    "stored"
                } else {
                    "refused"
                });
            }
        });
        Self { events, counts }
    }

    pub(crate) fn tell(&self, event: ErrorEvent, stamp: Stamp) {
        if self.events.try_send((event, stamp)).is_err() {
            self.counts.count("dropped");
            tracing::debug!("more errors than can be told; this one is in the log only");
        }
    }
}

async fn send(nats: &Connection, event: &ErrorEvent, stamp: &Stamp) -> bool {
    let subject = wire::errors_subject(&event.service, &event.durable);
    let id = stamp.id.to_string();
    let headers = [
        (wire::MSG_ID, id.as_str()),
        (wire::CONTENT_TYPE, wire::JSON),
        (wire::EXPECTED_STREAM, wire::ERRORS_STREAM),
    ];
    match store(nats, &subject, headers, event.body(stamp)).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "an error event is not stored");
            false
        }
    }
}
