//! Messages that the consumers of other clients have given up.
//!
//! No consumer of ours has a `max_deliver`. Another client's may have one: a message that has been delivered so often stays
//! in its stream, is never delivered to it again, and the server says so once, to whoever listens at that moment
//! (`$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES`). A service listens for the streams that it keeps.

use async_nats::{Message, SubscribeError};
use serde::Deserialize;
use tidewire_core::{ContextManifest, ContextName, ErrorEvent, Kind, Manifest};

use crate::{
    error_events::ErrorEvents,
    hearing::{Heard, Hearing},
    wiring::Wiring,
};

/// Where the server says it, behind which the stream and the consumer stand.
const ADVISORIES: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES";

/// What the server says, as far as it is told on.
#[derive(Debug, Deserialize)]
struct Advisory {
    stream: String,
    consumer: String,
    stream_seq: u64,
    deliveries: u32,
}

/// Hears what is given up in the streams that the service keeps, and tells of it in the log and as error events. One
/// instance of the service hears each; where its user may not hear them it does without.
pub(crate) async fn hear(wiring: &Wiring, manifest: &Manifest) -> Result<(), SubscribeError> {
    let heard = manifest.contexts.iter().flat_map(streams).map(|stream| Heard {
        subject: format!("{ADVISORIES}.{stream}.*"),
        queue_group: Some(manifest.service.clone()),
    });
    let heard: Vec<_> = heard.collect();
    if !heard.is_empty() {
        let advisories = Hearing::begin(wiring, heard).await?.done_without();
        wiring.spawn(tell(wiring.clone(), manifest.service.clone(), advisories));
    }
    Ok(())
}

/// The streams of a context that keep anything.
fn streams(context: &ContextManifest) -> impl Iterator<Item = String> {
    let events = (!context.subjects.is_empty()).then(|| context.stream.clone());
    let name = ContextName::parse(&context.name).ok();
    let commands = name.filter(|_| !context.queue.is_empty());
    let commands = commands.map(|name| name.queue_stream_name());
    events.into_iter().chain(commands)
}

async fn tell(wiring: Wiring, service: String, mut advisories: Hearing) {
    let events = ErrorEvents::start(&wiring);
    loop {
        let message = tokio::select! {
            () = wiring.stop.cancelled() => return,
            message = advisories.next() => message,
        };
        let Some(message) = message else { return };
        if let Some(event) = event(&service, &message) {
            let (stream, consumer, sequence) = (&event.stream, &event.durable, event.sequence);
            tracing::error!(stream, consumer, sequence, "{}", event.error);
            events.tell(event, wiring.sender.stamp(Kind::Error));
        }
    }
}

fn event(service: &str, message: &Message) -> Option<ErrorEvent> {
    let Ok(advisory) = serde_json::from_slice::<Advisory>(&message.payload) else {
        tracing::warn!(subject = %message.subject, "an advisory of the server is not understood");
        return None;
    };
    let Advisory {
        stream,
        consumer,
        stream_seq,
        deliveries,
    } = advisory;
    Some(ErrorEvent {
        service: service.to_owned(),
        error: format!(
            "the consumer `{consumer}`, which is not Tidewire's, has given up message {stream_seq} of {stream} after \
             {deliveries} deliveries: it stays in the stream and is not delivered to it again; let its owner handle it, and \
             take away the consumer's `max_deliver`"
        ),
        class: "max_deliveries".to_owned(),
        subject: message.subject.to_string(),
        durable: consumer,
        stream,
        sequence: stream_seq,
        attempt: deliveries,
        then: "given_up",
        letter: String::new(),
    })
}
