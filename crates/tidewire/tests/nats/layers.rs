//! Tower layers, foreign ones and our own, around handlers of every kind.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as Task, Poll},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    AskError,
    extract::Delivery,
    layer::{self, Handled, Layer, layer_fn},
    layered,
    prelude::*,
};
use tokio::time::sleep;
use tower::{
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimitLayer},
    timeout::TimeoutLayer,
};

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, note, payments,
    processed, server,
};

const SHORT: Duration = Duration::from_millis(100);
const FOR_EVER: Duration = Duration::from_secs(600);

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.shipping.parcel.book")]
struct Book {
    how: String,
}

/// Notes where a message goes in and out; refuses those that say so.
#[derive(Clone)]
struct Noting {
    name: &'static str,
    seen: Seen,
}

#[derive(Clone)]
struct Noted<S> {
    inner: S,
    layer: Noting,
}

impl<S> Layer<S> for Noting {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        let layer = self.clone();
        Noted { inner, layer }
    }
}

type Passing<S> = Pin<
    Box<
        dyn Future<
                Output = Result<
                    <S as layer::Service<Delivery>>::Response,
                    <S as layer::Service<Delivery>>::Error,
                >,
            > + Send,
    >,
>;

impl<S: layer::Service<Delivery, Future: Send + 'static>> layer::Service<Delivery> for Noted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Passing<S>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, delivery: Delivery) -> Passing<S> {
        let Noting { name, seen } = self.layer.clone();
        seen.note(format!("{} into {name} for {}", seen.len(), delivery.handler()));
        let inner = self.inner.call(delivery);
        Box::pin(async move {
            let passed = inner.await;
            let what = if passed.is_ok() { "done" } else { "failed" };
            seen.note(format!("{} {what} out of {name}", seen.len()));
            passed
        })
    }
}

/// Hangs the first time.
async fn hang_once(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    Event(paid): Event<PaymentProcessed>,
) {
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
    if attempt == 1 {
        sleep(FOR_EVER).await;
    }
    seen.note(format!("attempt {attempt}"));
}

/// The layer gives up, and the message is settled all the same: by a nak, and later by an ack.
#[tokio::test]
async fn a_time_limit_ends_an_attempt_and_another_one_is_made() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("ship", hang_once).layer(TimeoutLayer::new(SHORT)))
        .start(client.clone())
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    seen.reaches(1).await;
    assert_eq!(seen.sorted(), ["attempt 2"]);
    eventually("it is acked", async || {
        let info = consumer(&client, PAYMENTS, "shipping__ship").await;
        info.num_ack_pending == 0 && info.num_pending == 0
    })
    .await;
    // What the first attempt emitted did not leave.
    let parcels = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
    assert_eq!(parcels.cached_info().state.messages, 1);
}

#[derive(Clone, Default)]
struct Together {
    /// So many may run at once.
    limit: usize,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Together {
    fn of(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }
}

/// The first ones wait for each other, until as many as may run at once have met; the others would meet one too many.
async fn count(State(together): State<Together>, Event(_): Event<PaymentProcessed>) {
    let now = together.now.fetch_add(1, Ordering::SeqCst) + 1;
    together.most.fetch_max(now, Ordering::SeqCst);
    loop {
        sleep(Duration::from_millis(5)).await;
        if together.most.load(Ordering::SeqCst) >= together.limit {
            break;
        }
    }
    together.now.fetch_sub(1, Ordering::SeqCst);
    together.done.fetch_add(1, Ordering::SeqCst);
}

#[tokio::test]
async fn a_concurrency_limit_holds_on_a_handler_and_across_the_handlers_of_a_service() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let (alone, together) = (Together::of(2), Together::of(3));
    let _alone = Service::new("alone", "1.0.0")
        .state(alone.clone())
        .on(durable("count", count).layer(ConcurrencyLimitLayer::new(2)))
        .start(client.clone())
        .await
        .unwrap();
    let _together = Service::new("together", "1.0.0")
        .state(together.clone())
        .on(durable("one", count))
        .layer(GlobalConcurrencyLimitLayer::new(3))
        .on(durable("two", count))
        .start(client.clone())
        .await
        .unwrap();
    for key in 0..40 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    eventually("all are handled", async || {
        alone.done.load(Ordering::SeqCst) == 40 && together.done.load(Ordering::SeqCst) == 80
    })
    .await;
    assert_eq!(alone.most.load(Ordering::SeqCst), 2);
    assert_eq!(together.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_layer_that_is_not_clone_goes_into_a_buffer() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let limits = (BufferLayer::new(8), RateLimitLayer::new(1, SHORT));
    let service = Service::new("slow", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note).layer(limits));
    let _slow = service.start(client).await.unwrap();
    let began = std::time::Instant::now();
    for key in 0..4 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    seen.reaches(4).await;
    assert!(began.elapsed() >= SHORT * 3, "{:?}", began.elapsed());
}

async fn book(State(seen): State<Seen>, Command(book): Command<Book>) -> Result<(), Failure> {
    match book.how.as_str() {
        "slowly" => sleep(FOR_EVER).await,
        "not" => return Err(Failure::decline("sold_out", "nothing is left")),
        how => seen.note(how),
    }
    Ok(())
}

async fn refusal(bus: &Bus, how: &str) -> tidewire::ErrorBody {
    let error = bus.ask(&Book { how: how.into() }).await.unwrap_err();
    match error {
        AskError::Refused { error, .. } => error,
        other => panic!("{other}"),
    }
}

fn asking() -> Service {
    Service::new("caller", "1.0.0").asks::<Book>()
}

#[tokio::test]
async fn a_caller_hears_what_a_layer_refused_and_what_the_handler_said() {
    for on_the_service in [false, true] {
        let (server, seen) = (server(), Seen::default());
        let client = connect(&server).await;
        let service = Service::new("shipping", "1.0.0").state(seen.clone());
        let limit = TimeoutLayer::new(SHORT);
        let service = if on_the_service {
            service.layer(limit).command(book)
        } else {
            service.command(layered(book, limit))
        };
        let _shipping = service.start(client.clone()).await.unwrap();
        let caller = asking().start(client.clone()).await.unwrap();
        caller.bus().ask(&Book { how: "well".into() }).await.unwrap();
        assert_eq!(seen.sorted(), ["well"]);
        let late = refusal(&caller.bus(), "slowly").await;
        assert_eq!((late.code.as_str(), late.retryable), ("failed", true));
        assert!(late.message.contains("timed out"), "{}", late.message);
        // Through a layer whose error type is a box.
        let declined = refusal(&caller.bus(), "not").await;
        assert_eq!((declined.code.as_str(), declined.retryable), ("sold_out", false));
        let body = r#"{"type":"command","id":"c","timestamp":"2024-03-20T10:00:00Z","data":{"how":5}}"#;
        let answer = client
            .request("orders.shipping.parcel.book", body.into())
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["data"]["code"], "invalid");
    }
}

async fn nothing(_: Command<Book>) {}

/// The service's layers are outside the handler's, and the last one of each is the outermost.
#[tokio::test]
async fn layers_are_met_from_the_last_to_the_first() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let noting = |name| Noting {
        name,
        seen: seen.clone(),
    };
    let service = Service::new("shipping", "1.0.0")
        .layer(noting("d"))
        .command(layered(layered(nothing, noting("a")), (noting("c"), noting("b"))))
        .layer(noting("e"));
    let manifest = service.manifest().unwrap();
    assert_eq!(
        manifest.handlers[0].layers,
        ["Noting", "Noting", "(Noting, Noting)", "Noting"]
    );
    let running = service.start(client.clone()).await.unwrap();
    assert_eq!(running.manifest().handlers, manifest.handlers);
    let caller = asking().start(client).await.unwrap();
    caller.bus().ask(&Book { how: String::new() }).await.unwrap();
    let into = |(at, name)| format!("{at} into {name} for shipping__orders.shipping.parcel.book");
    let out = |(at, name)| format!("{at} done out of {name}");
    let mut expected: Vec<_> = ["e", "d", "c", "b", "a"]
        .into_iter()
        .enumerate()
        .map(into)
        .collect();
    expected.extend((5..).zip(["a", "b", "c", "d", "e"]).map(out));
    assert_eq!(seen.sorted(), expected);
}

#[tokio::test]
async fn a_layer_of_a_service_is_around_live_and_durable_handlers_whenever_they_came() {
    let (server, seen, handled) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let noting = Noting {
        name: "it",
        seen: seen.clone(),
    };
    let _shipping = Service::new("shipping", "1.0.0")
        .state(handled.clone())
        .on(durable("note", note))
        .layer(noting.clone())
        .on(live(note).layer(noting))
        .start(client)
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    handled.reaches(2).await;
    seen.reaches(6).await;
    let to = |handler: &str| {
        seen.sorted()
            .iter()
            .filter(|line| line.ends_with(handler))
            .count()
    };
    assert_eq!((to("shipping__note"), to("shipping__live-1")), (1, 2));
}

/// Panics for what says so, the first time.
fn fragile<S>(
    inner: S,
) -> impl layer::Service<Delivery, Response = Handled, Error = S::Error, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
where
    S: layer::Service<Delivery, Response = Handled, Future: Send> + Clone + Send + Sync + 'static,
{
    tower::util::MapRequest::new(inner, |delivery: Delivery| {
        assert!(delivery.attempt() > 1, "as a test does");
        delivery
    })
}

#[tokio::test]
async fn a_layer_that_panics_ends_the_attempt_and_nothing_else() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note).concurrency(1).layer(layer_fn(fragile)))
        .start(client)
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    payments.bus().publish(&processed("q")).await.unwrap();
    seen.reaches(2).await;
    assert_eq!(seen.sorted(), ["p", "q"]);
}

/// Keeps what came of a message and gives it for the next one, whose handler it does not call.
#[derive(Clone)]
struct Cheat<S> {
    inner: S,
    kept: Arc<tokio::sync::Mutex<Option<Handled>>>,
}

impl<S> layer::Service<Delivery> for Cheat<S>
where
    S: layer::Service<Delivery, Response = Handled, Future: Send> + Clone + Send + 'static,
{
    type Response = Handled;
    type Error = S::Error;
    type Future = Passing<S>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, delivery: Delivery) -> Passing<S> {
        let (inner, kept) = (self.inner.call(delivery), self.kept.clone());
        Box::pin(async move {
            let mut kept = kept.lock().await;
            if let Some(handled) = kept.take() {
                return Ok(handled);
            }
            *kept = Some(inner.await?);
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn what_came_of_one_message_settles_no_other() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let kept = Arc::default();
    let cheat = layer_fn(move |inner| Cheat {
        inner,
        kept: Arc::clone(&kept),
    });
    let limited = (TimeoutLayer::new(SHORT), cheat);
    let _shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note).concurrency(1).layer(limited))
        .start(client.clone())
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    payments.bus().publish(&processed("q")).await.unwrap();
    seen.reaches(1).await;
    eventually("both were tried", async || {
        let info = consumer(&client, PAYMENTS, "shipping__note").await;
        info.delivered.stream_sequence == 2
    })
    .await;
    sleep(SHORT * 3).await;
    let info = consumer(&client, PAYMENTS, "shipping__note").await;
    assert_eq!(info.num_ack_pending, 2, "neither is acked");
}
