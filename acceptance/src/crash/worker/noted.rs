//! Around a handler: what it was given, and what it came to, is written down.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use serde::Deserialize;
use tidewire::{
    Failure, OrFail as _,
    layer::{Delivery, Handled, Inner, Layer, Service, Unhandled},
};

use crate::{
    jobs::{Kind, Source},
    ledger::{Ledger, What},
};

/// Where it is written down, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) ledger: Ledger,
    pub(crate) worker: String,
}

/// A handler around which this is.
#[derive(Clone)]
pub(crate) struct NotedHandler {
    noted: Noted,
    inner: Inner,
}

/// What is read of the body of a message about a job.
#[derive(Deserialize)]
struct Body {
    data: Named,
}

#[derive(Deserialize)]
struct Named {
    job: String,
}

impl Layer<Inner> for Noted {
    type Service = NotedHandler;

    fn layer(&self, inner: Inner) -> NotedHandler {
        NotedHandler {
            noted: self.clone(),
            inner,
        }
    }
}

impl Service<Delivery> for NotedHandler {
    type Response = Handled;
    type Error = Unhandled;
    type Future = Pin<Box<dyn Future<Output = Result<Handled, Unhandled>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unhandled>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, delivery: Delivery) -> Self::Future {
        let Self { noted, mut inner } = self.clone();
        Box::pin(async move {
            let attempt = delivery.attempt();
            let (number, source, sequence) = place(&delivery)?;
            // A command is no run of its job.
            if source == Source::Jobs {
                noted.note(What::Begins { number, attempt })?;
            }
            let outcome = inner.call(delivery).await;
            noted.note(What::Ends {
                number,
                source,
                sequence,
                well: outcome.is_ok(),
            })?;
            outcome
        })
    }
}

impl Noted {
    fn note(&self, what: What) -> Result<(), Failure> {
        self.ledger.note(&self.worker, what).or_retry()
    }
}

/// The number of the job, and where its message is stored.
fn place(delivery: &Delivery) -> Result<(usize, Source, u64), Failure> {
    let body: Body = serde_json::from_slice(delivery.payload()).or_reject()?;
    let (_, number) = Kind::of(&body.data.job).ok_or("no job of ours").or_reject()?;
    let stored = delivery.stored().ok_or("a message of no stream").or_reject()?;
    let source = Source::of(&stored.stream).ok_or("another stream").or_reject()?;
    Ok((number, source, stored.sequence))
}
