//! The ways that a message can go, and the ends that it can have, beside an event that is stored and handled.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Connection,
    async_nats::jetstream::{self, stream},
    extract::Raw,
    prelude::*,
};
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::{Done, OrderPlaced, ParcelBooked, PlaceOrder, acked, booked, orders, placed, settled, stop};

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "shop.shipping.parcel.book", key = order_id)]
struct BookParcel {
    order_id: String,
}

async fn book(booked: Emit<ParcelBooked>, Command(parcel): Command<BookParcel>) {
    booked.emit(ParcelBooked {
        order_id: parcel.order_id,
    });
}

/// Sends a command that a queue keeps, as an edge would that has a span of its own.
pub(crate) async fn command(nats: Connection) -> Done {
    let shipping = Service::new("shipping", "1.0.0")
        .context(Context::new("shop.shipping"))
        .on(durable("book", book))
        .start(nats.clone())
        .await?;
    let till = Service::new("till", "1.0.0")
        .sends::<BookParcel>()
        .start(nats.clone())
        .await?;
    let order_id = "o.1".into();
    async { till.bus().send(&BookParcel { order_id }).await }
        .instrument(tracing::info_span!("checkout"))
        .await?;
    booked(&nats).await;
    stop(till, shipping).await
}

async fn hear(State(heard): State<Arc<Semaphore>>, Event(_): Event<OrderPlaced>) {
    heard.add_permits(1);
}

/// Two live handlers hear of an order, one of them in a queue group.
pub(crate) async fn live_handlers(nats: Connection) -> Done {
    let heard = Arc::new(Semaphore::new(0));
    let orders = orders().start(nats.clone()).await?;
    let shipping = Service::new("shipping", "1.0.0")
        .state(heard.clone())
        .on(live(hear).queue_group("desk"))
        .on(live(hear))
        .start(nats)
        .await?;
    orders.bus().publish(&placed("o.1")).await?;
    heard.acquire_many(2).await?.forget();
    stop(orders, shipping).await
}

async fn look(_: Raw) {}

/// Handles what another program sends, by a filter.
pub(crate) async fn template(nats: Connection) -> Done {
    let js = jetstream::new(nats.client());
    js.create_stream(stream::Config {
        name: "PLANT".into(),
        subjects: vec!["plant.>".into()],
        ..Default::default()
    })
    .await?;
    js.publish("plant.hall.sensor.measured.7", "no envelope".into())
        .await?
        .await?;
    let orders = orders().start(nats.clone()).await?;
    let shipping = Service::new("shipping", "1.0.0")
        .on(durable("look", look).filter("plant.>"))
        .start(nats.clone())
        .await?;
    acked(&nats, "PLANT", "shipping__look", 1).await;
    stop(orders, shipping).await
}

async fn decline(Command(_): Command<PlaceOrder>) -> Result<(), Failure> {
    Err(Failure::decline("sold_out", "there is none"))
}

/// Asks where nobody answers, asks who declines, and publishes what the server does not take.
pub(crate) async fn failing(nats: Connection) -> Done {
    let till = Service::new("till", "1.0.0")
        .context(Context::new("shop.checkout"))
        .publishes::<OrderPlaced>()
        .asks::<PlaceOrder>()
        .start(nats.clone())
        .await?;
    let order = PlaceOrder {
        order_id: "o.1".into(),
    };
    till.bus().ask(&order).await.unwrap_err();
    let declining = Service::new("declining", "1.0.0").command(decline);
    let declining = declining.start(nats).await?;
    till.bus().ask(&order).await.unwrap_err();
    let large = OrderPlaced {
        order_id: "o.1".into(),
        note: "x".repeat(2 << 20),
    };
    till.bus().publish(&large).await.unwrap_err();
    stop(till, declining).await
}

/// Comes to no end with two orders, and to a good one with a single order.
async fn ship_one(State(two): State<Two>, Batch(orders): Batch<OrderPlaced>) {
    if orders.len() > 1 {
        two.met.store(true, Ordering::SeqCst);
        assert!(!two.panic, "as a test does");
        pending::<()>().await;
    }
}

/// Two orders of one batch.
#[derive(Clone)]
struct Two {
    panic: bool,
    /// Whether there were two.
    met: Arc<AtomicBool>,
}

/// Handles a batch that panics, or takes too long.
pub(crate) async fn cut_off(nats: Connection, panic: bool) -> Done {
    let orders = orders().start(nats.clone()).await?;
    let met = Arc::new(AtomicBool::new(false));
    let handler = durable("ship", ship_one)
        .time_limit(Duration::from_secs(1))
        .retry(Retry::immediate().max_attempts(3));
    let two = Two {
        panic,
        met: met.clone(),
    };
    let shipping = Service::new("shipping", "1.0.0")
        .state(two)
        .on_batch(2, Duration::from_secs(30), handler)
        .start(nats.clone())
        .await?;
    let mut count = 0;
    // The second may come when the time of the first is over: then two others are tried.
    while !met.load(Ordering::SeqCst) {
        for order in ["o.1", "o.2"] {
            orders.bus().publish(&placed(order)).await?;
        }
        count += 2;
        settled(&nats, count).await;
    }
    stop(orders, shipping).await
}
