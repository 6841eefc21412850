//! Answering commands and queries.

use std::sync::Arc;

use async_nats::{Client, Message};
use bytes::Bytes;
use tidewire_core::{Class, ErrorBody, Failure, Kind, MessageName, Outcome, Outgoing, Reply, Subject, wire};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    crew::Crew,
    delivery::Delivery,
    feed::feed,
    headers::{header_map, header_map_of},
    hearing::Hearing,
    input::Input,
    outbox::Outbox,
    route::{Answer, Route},
    sender::Sender,
    service_protocol::EndpointStats,
    spans,
    wiring::Wiring,
};

/// More than this many waiting requests for each one that runs, and no more are read: they wait on the connection.
const WAITING_EACH: usize = 4;

/// Room for the envelope and its headers around an answer.
const ENVELOPE: usize = 8 << 10;

/// Serves one command or query until the service stops, and then what has arrived.
pub(crate) async fn serve(wiring: Wiring, route: Route, requests: Hearing, stats: Arc<EndpointStats>) {
    let most = route.concurrency * (1 + WAITING_EACH);
    let sender = wiring.sender.clone();
    let route = Arc::new(route);
    let crew = Crew::new(wiring.pool.clone(), route.concurrency, move |request: Message| {
        let (route, sender, stats) = (route.clone(), sender.clone(), stats.clone());
        async move {
            let began = Instant::now();
            let refusal = answer(request, &route, &sender).await;
            stats.handled(began.elapsed(), refusal.as_ref());
        }
    });
    feed(crew, most, requests, wiring.stop.clone()).await;
}

/// Handles one request and answers it; gives back the error that the caller heard, if it was one.
async fn answer(request: Message, route: &Route, sender: &Sender) -> Option<ErrorBody> {
    let (subject, inbox) = (request.subject.clone(), request.reply.clone());
    let (handler, subject) = (&*route.name, subject.as_str());
    let delivery = Delivery::new(Arc::new(request), 1, None, &route.identity, sender, None);
    let mut outbox = delivery.outbox.clone();
    let span = spans::process(&delivery, route, None);
    let run = async {
        match route.unpacked(delivery).await {
            Ok(delivery) => {
                outbox = delivery.outbox.clone();
                route.attempt(delivery).await
            }
            Err(outcome) => (outcome, None),
        }
    };
    let attempted = run.instrument(span.clone()).await;
    let (outcome, answer) = fitting(attempted, sender.connection().max_payload());
    spans::ended(&span, (!outcome.is_success()).then(|| outcome.class()));
    let reply = reply_to(handler, subject, &outbox).and_then(|reply| {
        let written = match (outcome.refusal(), answer) {
            (Some(refusal), _) => reply.error(&refusal),
            (None, Some(answer)) => reply.data(&answer),
            (None, None) => reply.data(&()),
        };
        written.ok()
    });
    let refusal = outcome.refusal();
    if let Some(refusal) = &refusal {
        let (code, error) = (refusal.code.as_str(), refusal.message.as_str());
        span.in_scope(|| {
            if outcome.is_success() {
                tracing::debug!(handler, subject, code, error, "declined");
            } else {
                tracing::warn!(handler, subject, code, error, "answered with an error");
            }
        });
    }
    if let Some(inbox) = inbox {
        respond(&sender.client(), inbox, reply, refusal.as_ref()).await;
    }
    refusal.filter(|_| !outcome.is_success())
}

/// The answer's envelope, as far as the request is readable. Where not even its key is, the answer is about the message
/// that `handler` takes.
fn reply_to(handler: &str, subject: &str, outbox: &Outbox) -> Option<Reply> {
    match outbox.input() {
        Input::Envelope(envelope) => Some(Reply::to(envelope, outbox.reply_stamp())),
        Input::Foreign { .. } => {
            let subject = match Subject::parse(subject) {
                Ok(subject) => subject,
                Err(_) => Subject::new(&MessageName::parse(handler).ok()?, None).ok()?,
            };
            Some(Reply::to_unreadable(subject, outbox.sender().stamp(Kind::Reply)))
        }
    }
}

/// An answer that the server would not take becomes an error that it does: the caller must not wait for nothing.
fn fitting((outcome, answer): (Outcome, Answer), limit: usize) -> (Outcome, Answer) {
    match answer {
        Some(answer) if answer.get().len() + ENVELOPE > limit => {
            let size = answer.get().len();
            let text = format!("the answer has {size} bytes and the server takes {limit}; answer with less");
            (Outcome::Failed(Failure::new(Class::Reject, text)), None)
        }
        answer => (outcome, answer),
    }
}

async fn respond(
    client: &Client,
    inbox: async_nats::Subject,
    reply: Option<Outgoing>,
    refusal: Option<&ErrorBody>,
) {
    let (headers, body) = if let Some(reply) = &reply {
        let headers = reply
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str()));
        (header_map_of(headers), reply.body.clone())
    } else {
        // No envelope can be written: the caller hears at least the protocol's headers.
        let text = refusal.map_or("the answer cannot be written", |refusal| &refusal.message);
        let text = text.replace(['\r', '\n'], " ");
        let headers = [
            (wire::SERVICE_ERROR, text.as_str()),
            (wire::SERVICE_ERROR_CODE, "500"),
        ];
        (header_map(headers), Bytes::new())
    };
    let sent = match headers {
        Ok(headers) => client.publish_with_headers(inbox, headers, body).await,
        Err(error) => {
            tracing::warn!(%error, "an answer goes out without its headers");
            client.publish(inbox, body).await
        }
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "an answer could not be sent");
    }
}
