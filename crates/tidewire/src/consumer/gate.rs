//! What a message in hand waits for before its handler runs.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tidewire_core::{CircuitState, settlement::UNANSWERED};
use tokio::{sync::OwnedSemaphorePermit, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    breaker::{Admitted, Breaker},
    bulkhead::Bulkhead,
};

/// The limits of one durable beside its concurrency.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    breaker: Breaker,
    rate: Option<Arc<DefaultDirectRateLimiter>>,
    bulkhead: Option<Bulkhead>,
}

/// At most this many in that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) messages: NonZeroU32,
    pub(crate) per: Duration,
}

/// A message that may run.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) admitted: Admitted,
    _place: Option<OwnedSemaphorePermit>,
}

impl Gate {
    pub(crate) fn new(breaker: Breaker, rate: Option<Rate>, bulkhead: Option<Bulkhead>) -> Self {
        let limiter = rate.and_then(|rate| {
            let each = rate.per / rate.messages.get();
            Some(Arc::new(RateLimiter::direct(Quota::with_period(each)?)))
        });
        Self {
            breaker,
            rate: limiter,
            bulkhead,
        }
    }

    /// Waits until a message may run; `None` where the service ends before.
    pub(super) async fn pass(&self, stop: &CancellationToken) -> Option<Pass> {
        tokio::select! {
            biased;
            // What may begin begins: given back while requests are open, it would come to ourselves again.
            pass = self.passing() => Some(pass),
            () = stop.cancelled() => None,
        }
    }

    /// Where nothing limits and the breaker is closed, which is nearly always.
    pub(super) fn at_once(&self) -> Option<Pass> {
        let unlimited = self.rate.is_none() && self.bulkhead.is_none();
        let admitted = unlimited.then(|| self.breaker.admitted_at_once())??;
        Some(Pass {
            admitted,
            _place: None,
        })
    }

    /// The same for a message that found what it needs unavailable. A breaker that is closed all the same, by hand or
    /// below its threshold, does not make it wait: it waits here.
    pub(super) async fn pass_again(&self, stop: &CancellationToken) -> Option<Pass> {
        if self.is_open() {
            tokio::select! {
                () = stop.cancelled() => return None,
                () = sleep(UNANSWERED) => {}
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            pass = self.passing() => Some(pass),
        }
    }

    async fn passing(&self) -> Pass {
        loop {
            // The breaker first: who waits for it keeps no place from others.
            let admitted = self.breaker.admitted().await;
            if let Some(rate) = &self.rate {
                rate.until_ready().await;
            }
            let place = match &self.bulkhead {
                Some(bulkhead) => bulkhead.place().await,
                None => None,
            };
            // It may have opened while this one waited for the others.
            if admitted.is_probe() || self.is_open() {
                return Pass {
                    admitted,
                    _place: place,
                };
            }
        }
    }

    /// Whether it is of use to ask for more messages.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.state() == CircuitState::Closed
    }

    /// Returns once it is of use.
    pub(super) async fn opens(&self) {
        self.breaker.closed().await;
    }
}
