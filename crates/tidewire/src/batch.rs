//! Handling several events in one call, with a result for each.

mod gathering;

use std::{fmt, sync::Arc, time::Duration};

use tidewire_core::{BoxError, Class, DecodeError, EventSet, Failure};
use tracing::{Instrument, Span};

use crate::{
    delivery::Delivery,
    extract::{FromMessage, Sends},
    handler::{Arguments, Handler, HandlerFuture},
    layer::{Handled, Inner, Unhandled},
    spans,
};
use gathering::{Gathering, Turn};

/// Several events, in the order in which they came: the last argument of a handler that is given to
/// [`Service::on_batch`](crate::Service::on_batch).
#[derive(Clone, Debug)]
pub struct Batch<E>(pub Vec<E>);

impl<E: EventSet> FromMessage for Batch<E> {
    fn from_message(delivery: &Delivery) -> Result<Self, DecodeError> {
        match delivery.take_batch() {
            Some(events) => Ok(Self(events)),
            None => Ok(Self(vec![E::decode(delivery.encoded()?)?])),
        }
    }
}

/// The last argument of a handler of batches.
#[diagnostic::on_unimplemented(
    message = "the last argument of a handler in `.on_batch(…)` is `Batch<E>`, and here it is `{Self}`",
    label = "does not take `Batch<E>` as its last argument",
    note = "a handler of single events is given to `.on(durable(\"name\", handler))`"
)]
pub trait BatchArgument: FromMessage {
    /// The event, or the set of events.
    type Events: EventSet;
}

impl<E: EventSet> BatchArgument for Batch<E> {
    type Events = E;
}

/// What a handler of batches gives back: a result for each event, in their order.
#[diagnostic::on_unimplemented(
    message = "a handler of batches gives a `Vec<Result<(), Failure>>`, perhaps in a `Result<_, Failure>`, or `Result<(), Failure>` for all of them, not `{Self}`",
    label = "this return value cannot settle a batch"
)]
pub trait SettlesEach: Send {
    /// A result for each event, or one for all of them.
    ///
    /// # Errors
    /// A failure of the whole batch.
    fn settle_each(self) -> Result<Option<Vec<Result<(), Failure>>>, Failure>;
}

#[diagnostic::do_not_recommend]
impl SettlesEach for () {
    fn settle_each(self) -> Result<Option<Vec<Result<(), Failure>>>, Failure> {
        Ok(None)
    }
}

#[diagnostic::do_not_recommend]
impl SettlesEach for Result<(), Failure> {
    fn settle_each(self) -> Result<Option<Vec<Result<(), Failure>>>, Failure> {
        self.map(|()| None)
    }
}

#[diagnostic::do_not_recommend]
impl SettlesEach for Vec<Result<(), Failure>> {
    fn settle_each(self) -> Result<Option<Vec<Result<(), Failure>>>, Failure> {
        Ok(Some(self))
    }
}

#[diagnostic::do_not_recommend]
impl SettlesEach for Result<Vec<Result<(), Failure>>, Failure> {
    fn settle_each(self) -> Result<Option<Vec<Result<(), Failure>>>, Failure> {
        self.map(Some)
    }
}

/// How events are gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gather {
    pub(crate) most: usize,
    pub(crate) within: Duration,
}

/// A handler of batches as one of single events: each event waits for the others, and hears its own result.
///
/// So each is counted, retried and settled by itself. One that came before is handled alone: what makes a batch panic
/// then fails by itself, and the rest goes through.
pub(crate) fn inner<S, E, H, T>(handler: H, state: &S, gather: Gather) -> Inner
where
    S: Clone + Send + Sync + 'static,
    E: EventSet + Send + 'static,
    H: Handler<T, Future: HandlerFuture<Output: SettlesEach> + Send>,
    T: Arguments<S, Message: FromMessage>,
{
    let (state, gathering) = (state.clone(), Arc::new(Gathering::new(gather)));
    Inner::new(move |delivery: Delivery| {
        let (handler, state, gathering) = (handler.clone(), state.clone(), gathering.clone());
        Box::pin(async move {
            let event = E::decode(delivery.encoded()?)?;
            let outbox = delivery.outbox.clone();
            let alone = delivery.attempt() > 1;
            let entry = (event, outbox.clone());
            let turn = if alone {
                Turn::alone(entry)
            } else {
                gathering.join(entry).await
            };
            match turn {
                Turn::Heard(result) => result?,
                Turn::Handle(entries, others) => {
                    let (events, outboxes): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
                    let count = events.len();
                    delivery.put_batch(events);
                    let arguments = T::extract(&delivery, &state)?;
                    let span = InBatch(spans::batch(&outboxes));
                    let handling = handler.invoke(arguments).run().instrument(span.0.clone());
                    let results = of_each(handling.await.settle_each(), count);
                    span.ended(&results);
                    let mut results = results.into_iter();
                    let ours = results.next();
                    for (other, result) in others.into_iter().zip(results) {
                        // Whoever does not wait any more has lost its lease.
                        drop(other.send(result));
                    }
                    ours.unwrap_or(Ok(()))?;
                }
            }
            Ok::<_, Unhandled>(Handled { answer: None, outbox })
        })
    })
}

/// The span of a batch, whose handler may come to no end.
struct InBatch(Span);

impl InBatch {
    fn ended(mut self, results: &[Result<(), Failure>]) {
        let span = std::mem::replace(&mut self.0, Span::none());
        spans::ended(&span, results.iter().find_map(failed));
    }
}

impl Drop for InBatch {
    fn drop(&mut self) {
        spans::ended(&self.0, Some("cut_off"));
    }
}

/// The class of what did not go well, for telemetry; a decline is an answer.
fn failed(result: &Result<(), Failure>) -> Option<&'static str> {
    let class = result.as_ref().err()?.class();
    (!matches!(class, Class::Decline(_))).then(|| class.word())
}

/// A result for each of `count` events.
fn of_each(
    settled: Result<Option<Vec<Result<(), Failure>>>, Failure>,
    count: usize,
) -> Vec<Result<(), Failure>> {
    let all = match settled {
        Ok(None) => return (0..count).map(|_| Ok(())).collect(),
        Ok(Some(results)) if results.len() == count => return results,
        Ok(Some(results)) => Failure::new(
            Class::Retry(None),
            format!(
                "the handler gave {} results for {count} events; give one for each",
                results.len()
            ),
        ),
        Err(failure) => failure,
    };
    let (class, cause) = all.into_parts();
    let cause: Arc<dyn std::error::Error + Send + Sync> = Arc::from(cause);
    let failed = || Err(Failure::new(class.clone(), OfAll(cause.clone())));
    (0..count).map(|_| failed()).collect()
}

/// The failure of a whole batch, as each of its events hears it.
#[derive(Debug)]
struct OfAll(Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Display for OfAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the batch failed")
    }
}

impl std::error::Error for OfAll {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// What a handler of batches sends: nothing, for it would not be known of which event.
pub(crate) fn sends_nothing(sends: &Sends) -> bool {
    sends.emits.is_empty() && sends.commands.is_empty()
}

/// The failure of an event whose batch came to no end.
fn cut_off() -> Failure {
    let cause: BoxError = "the batch panicked or was cut off; the event is tried alone".into();
    Failure::new(Class::Retry(None), cause)
}
