//! A trace that is not sampled where it begins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{Bus, Connection, prelude::*, wire};
use tracing::{Instrument, level_filters::LevelFilter};

use crate::{Done, OrderPlaced, ParcelBooked, orders, placed, placed_by_another, shipping, stop, stored};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "shop.depot.parcel.left", key = order_id)]
struct ParcelLeft {
    order_id: String,
}

/// Fails once. Then it emits an event, and publishes another one in a task and a span of its own.
async fn pack(
    State(depot): State<Bus>,
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    Event(placed): Event<OrderPlaced>,
) -> Result<(), Failure> {
    if attempt == 1 {
        return Err("no box is free").or_retry();
    }
    let order_id = placed.order_id.clone();
    let leaves = async move { depot.publish(&ParcelLeft { order_id }).await };
    let packing = tracing::info_span!("packing");
    tokio::spawn(leaves.instrument(packing))
        .await
        .or_retry()?
        .or_retry()?;
    booked.emit(ParcelBooked {
        order_id: placed.order_id,
    });
    Ok(())
}

/// Publishes an event in a span of its own, as an edge does, and prints the contexts of it and of what followed.
pub(crate) async fn published(nats: Connection) -> Done {
    let orders = orders().start(nats.clone()).await?;
    let shipping = shipping(1).start(nats.clone()).await?;
    async { orders.bus().publish(&placed("o.1")).await }
        .instrument(tracing::info_span!("checkout"))
        .await?;
    for stream in ["SHOP__CHECKOUT", "SHOP__SHIPPING"] {
        print_context(&nats, stream).await;
    }
    stop(orders, shipping).await
}

async fn print_context(nats: &Connection, stream: &str) {
    let headers = stored(nats, stream).await;
    for name in [wire::TRACEPARENT, wire::BAGGAGE] {
        println!("{}", headers.get(name).map_or("none", |value| value.as_str()));
    }
}

/// Handles an event whose sender left its trace out, and prints the contexts of what followed, after the level of what is
/// looked at.
pub(crate) async fn handled(nats: Connection) -> Done {
    println!("{}", LevelFilter::current());
    let orders = orders().start(nats.clone()).await?;
    let depot = Service::new("depot", "1.0.0")
        .context(Context::new("shop.depot"))
        .publishes::<ParcelLeft>()
        .start(nats.clone())
        .await?;
    let shipping = Service::new("shipping", "1.0.0")
        .context(Context::new("shop.shipping"))
        .state(depot.bus())
        .on(durable("pack", pack).retry(Retry::immediate().max_attempts(2)))
        .start(nats.clone())
        .await?;
    let context = [
        (
            wire::TRACEPARENT,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ),
        (wire::BAGGAGE, "tenant=a%20b"),
    ];
    placed_by_another(&nats, &context).await?;
    for stream in ["SHOP__SHIPPING", "SHOP__DEPOT"] {
        print_context(&nats, stream).await;
    }
    depot.stop().await?;
    stop(orders, shipping).await
}
