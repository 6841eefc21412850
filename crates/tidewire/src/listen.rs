//! Hearing events live, at most once.

use std::sync::Arc;

use async_nats::Message;
use tracing::Instrument;

use crate::{
    crew::Crew, delivery::Delivery, feed::feed, hearing::Hearing, route::Route, sender::Sender, spans,
    wiring::Wiring,
};

/// More than this many waiting messages for each one that runs, and no more are read: beyond the subscription's own
/// capacity the client drops the newest.
const WAITING_EACH: usize = 4;

/// Hears until the service stops, and then what has arrived.
pub(crate) async fn listen(wiring: Wiring, route: Route, events: Hearing) {
    let most = route.concurrency * (1 + WAITING_EACH);
    let (sender, route) = (wiring.sender.clone(), Arc::new(route));
    let crew = Crew::new(wiring.pool.clone(), route.concurrency, move |message: Message| {
        let (route, sender) = (route.clone(), sender.clone());
        async move { hear(message, &route, &sender).await }
    });
    feed(crew, most, events, wiring.stop.clone()).await;
}

async fn hear(message: Message, route: &Route, sender: &Sender) {
    let subject = message.subject.clone();
    let delivery = Delivery::new(Arc::new(message), 1, None, &route.identity, sender, None);
    let span = spans::process(&delivery, route, None);
    let run = async {
        match route.unpacked(delivery).await {
            Ok(delivery) => route.attempt(delivery).await.0,
            Err(outcome) => outcome,
        }
    };
    let outcome = run.instrument(span.clone()).await;
    spans::ended(&span, (!outcome.is_success()).then(|| outcome.class()));
    if let Some(refusal) = outcome.refusal().filter(|_| !outcome.is_success()) {
        let (handler, subject) = (&*route.name, subject.as_str());
        span.in_scope(|| {
            tracing::warn!(handler, subject, code = %refusal.code, error = %refusal.message, "heard and not handled");
        });
    }
}
