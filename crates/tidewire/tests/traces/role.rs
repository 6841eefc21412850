//! Parts that the tests of traces play in processes of their own.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "its output is what the test reads"
)]

#[path = "roles/ends.rs"]
mod ends;
#[path = "../support/replay.rs"]
mod replay;
#[path = "roles/unsampled.rs"]
mod unsampled;

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Connection, Running,
    async_nats::{HeaderMap, jetstream},
    dead_letter::Record,
    prelude::*,
    telemetry, wire,
};
use tracing::Instrument;
use tracing_subscriber::{Layer, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "shop.checkout.order.place", key = order_id)]
struct PlaceOrder {
    order_id: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "shop.checkout.order.placed", key = order_id)]
struct OrderPlaced {
    order_id: String,
    #[serde(default)]
    note: String,
}

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "shop.shipping.parcel.booked", key = order_id)]
struct ParcelBooked {
    order_id: String,
}

async fn place(placed: Emit<OrderPlaced>, Command(order): Command<PlaceOrder>) {
    placed.emit(crate::placed(&order.order_id));
}

/// Fails as often as it is told to.
async fn ship(
    State(Failures(failures)): State<Failures>,
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    Event(placed): Event<OrderPlaced>,
) -> Result<(), Failure> {
    if attempt <= failures {
        return Err("no van is free").or_retry();
    }
    tracing::info!("shipped");
    booked.emit(ParcelBooked {
        order_id: placed.order_id,
    });
    Ok(())
}

async fn ship_all(Batch(_): Batch<OrderPlaced>) {}

#[derive(Clone)]
struct Failures(u32);

fn orders() -> Service {
    Service::new("orders", "1.0.0")
        .context(Context::new("shop.checkout"))
        .publishes::<OrderPlaced>()
        .command(place)
}

fn shipping(failures: u32) -> Service<Failures> {
    Service::new("shipping", "1.0.0")
        .context(Context::new("shop.shipping"))
        .state(Failures(failures))
        .on(durable("ship", ship).retry(Retry::immediate().max_attempts(2)))
}

fn placed(order_id: &str) -> OrderPlaced {
    OrderPlaced {
        order_id: order_id.into(),
        note: CANARY.into(),
    }
}

/// What stands in the body of an event, and in no span.
const CANARY: &str = "canary-in-a-payload";

type Done = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Done {
    let role = env::args().nth(1).unwrap();
    let (traces, flush) = match telemetry::otlp(&role) {
        Ok(made) => made,
        Err(error) => {
            println!("{error}");
            return Ok(());
        }
    };
    let (registry, lines) = (tracing_subscriber::registry(), fmt::layer().with_ansi(false));
    let others = env::var("TIDEWIRE_TEST_OTHERS").unwrap_or_default();
    match others.as_str() {
        "" => registry.with(traces).init(),
        "a log" => registry.with(traces).with(lines).init(),
        "a log at INFO" => registry
            .with(traces)
            .with(lines.with_filter(LevelFilter::INFO))
            .init(),
        "a log at WARN" => registry
            .with(traces)
            .with(lines.with_filter(LevelFilter::WARN))
            .init(),
        "a filter for all" => registry.with(traces).with(LevelFilter::INFO).init(),
        "a filter of its own" => registry.with(traces.with_filter(LevelFilter::INFO)).init(),
        "a layer that is none" => registry.with(traces).with(None::<fmt::Layer<_>>).init(),
        _ => return Err("no such layers".into()),
    }
    if role == "settings" {
        tracing::info_span!("a span").in_scope(|| {});
        return Ok(());
    }
    let nats = tidewire::connect(env::var("TIDEWIRE_TEST_URL")?).await?;
    match role.as_str() {
        "orders" => orders().run(nats).await?,
        "shipping" => shipping(1).run(nats).await?,
        "till" => till(nats).await?,
        "batch" => batch(nats).await?,
        "replay" => replay(nats).await?,
        "foreign" => foreign(nats).await?,
        "log" => log(nats).await?,
        "unsampled" => unsampled::handled(nats).await?,
        "edge" => unsampled::published(nats).await?,
        "command" => ends::command(nats).await?,
        "live" => ends::live_handlers(nats).await?,
        "template" => ends::template(nats).await?,
        "failing" => ends::failing(nats).await?,
        "panics" => ends::cut_off(nats, true).await?,
        "hangs" => ends::cut_off(nats, false).await?,
        _ => return Err("no such role".into()),
    }
    let ended = Instant::now();
    drop(flush);
    if env::var("TIDEWIRE_TEST_FLUSH").is_ok() {
        println!("flushed within {}", ended.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Asks for an order, as an edge would that has a span of its own.
async fn till(nats: Connection) -> Done {
    let till = Service::new("till", "1.0.0")
        .asks::<PlaceOrder>()
        .start(nats)
        .await?;
    let order_id = "o.1".into();
    async { till.bus().ask(&PlaceOrder { order_id }).await }
        .instrument(tracing::info_span!("checkout"))
        .await?;
    Ok(till.stop().await?)
}

async fn batch(nats: Connection) -> Done {
    let orders = orders().start(nats.clone()).await?;
    for order in ["o.1", "o.2", "o.3"] {
        orders.bus().publish(&placed(order)).await?;
    }
    let shipping = Service::new("shipping", "1.0.0")
        .on_batch(3, Duration::from_secs(30), durable("ship", ship_all))
        .start(nats.clone())
        .await?;
    settled(&nats, 3).await;
    stop(orders, shipping).await
}

async fn log(nats: Connection) -> Done {
    let orders = orders().start(nats.clone()).await?;
    orders.bus().publish(&placed("o.1")).await?;
    let shipping = shipping(0).start(nats.clone()).await?;
    settled(&nats, 1).await;
    stop(orders, shipping).await
}

/// Fails twice, and is then given back as `tidewire dlq replay` does it.
async fn replay(nats: Connection) -> Done {
    let orders = orders().start(nats.clone()).await?;
    let shipping = shipping(2).start(nats.clone()).await?;
    orders.bus().publish(&placed("o.1")).await?;
    let js = jetstream::new(nats.client());
    let letter = loop {
        if let Ok(stream) = js.get_stream(wire::DLQ_STREAM).await
            && let Ok(letter) = stream.get_raw_message(1).await
        {
            break letter;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let headers: Vec<_> = letter
        .headers
        .iter()
        .flat_map(|(name, values)| {
            values
                .iter()
                .map(move |value| (name.to_string(), value.to_string()))
        })
        .collect();
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let record = Record::read(&pairs, &letter.payload)?;
    replay::replay(&nats.client(), &letter.subject, &record, "shipping", "ship").await;
    booked(&nats).await;
    stop(orders, shipping).await
}

/// Handles what a program with another tracing system sent, and prints the context of what followed.
async fn foreign(nats: Connection) -> Done {
    let orders = orders().start(nats.clone()).await?;
    let shipping = shipping(0).start(nats.clone()).await?;
    let context = [
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("tracestate", "vendor=it"),
        ("baggage", "tenant=a%20b"),
    ];
    placed_by_another(&nats, &context).await?;
    let parcel = booked(&nats).await;
    for name in [wire::TRACEPARENT, wire::TRACESTATE, wire::BAGGAGE] {
        println!(
            "{name}: {}",
            parcel.get(name).map(ToString::to_string).unwrap_or_default()
        );
    }
    stop(orders, shipping).await
}

/// Stores an order as another program does, with these headers.
async fn placed_by_another(nats: &Connection, context: &[(&str, &str)]) -> Done {
    let mut headers = HeaderMap::new();
    for (name, value) in context {
        headers.append(*name, *value);
    }
    let body =
        r#"{"type":"event","id":"evt_1","timestamp":"2024-03-20T10:00:00Z","data":{"order_id":"o.1"}}"#;
    let js = jetstream::new(nats.client());
    let subject = "shop.checkout.order.placed.o=2E1";
    js.publish_with_headers(subject, headers, body.into())
        .await?
        .await?;
    Ok(())
}

/// The headers of the parcel, once it is booked and what led to it is settled.
async fn booked(nats: &Connection) -> HeaderMap {
    stored(nats, "SHOP__SHIPPING").await
}

/// The headers of the first message of a stream, once it is there.
async fn stored(nats: &Connection, stream: &str) -> HeaderMap {
    let js = jetstream::new(nats.client());
    loop {
        if let Ok(stream) = js.get_stream(stream).await
            && let Ok(parcel) = stream.get_raw_message(1).await
        {
            return parcel.headers;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns once so many messages are handled and acked.
async fn settled(nats: &Connection, count: u64) {
    acked(nats, "SHOP__CHECKOUT", "shipping__ship", count).await;
}

async fn acked(nats: &Connection, stream: &str, consumer: &str, count: u64) {
    let js = jetstream::new(nats.client());
    loop {
        let stream = js.get_stream(stream).await.unwrap();
        let info = stream.consumer_info(consumer).await.unwrap();
        if info.ack_floor.stream_sequence >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn stop(orders: Running, shipping: Running) -> Done {
    shipping.stop().await?;
    Ok(orders.stop().await?)
}
