//! How often a delivery allocates.
//!
//! Alone in its binary: it counts what the whole process allocates.

use std::{
    alloc::System,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidewire::prelude::*;
use tidewire_server::Server;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that one delivery may allocate, from the socket to the ack.
///
/// Measured: 38, and up to 41 where queues grow. About half of it is the client's: a message with six headers, each of them
/// a name, a value and a list. The rest is the envelope (the subject, the id, each text of the metadata, the data), the message's
/// fields, and what lives as long as the delivery: its outbox, its lease, the handler's future. A change that needs more
/// says so here.
const MOST: u64 = 44;

const MESSAGES: u64 = 5_000;

/// Where a machine is busy queues run empty, and what is due every so often falls upon fewer messages: then they are
/// counted again, so many times at the most.
const ROUNDS: u64 = 5;

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "counting.orders.order.placed", key = order)]
struct Placed {
    order: String,
}

async fn handle(State(seen): State<Arc<AtomicU64>>, Event(placed): Event<Placed>) {
    std::hint::black_box(placed);
    seen.fetch_add(1, Ordering::Relaxed);
}

fn counting(seen: &Arc<AtomicU64>) -> Service<Arc<AtomicU64>> {
    Service::new("counting", "1.0.0")
        .context(Context::new("counting.orders"))
        .publishes::<Placed>()
        .state(seen.clone())
        .on(durable("count", handle))
}

fn order(index: u64) -> Placed {
    Placed {
        order: format!("o-{index}"),
    }
}

async fn reaches(seen: &AtomicU64, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while seen.load(Ordering::Relaxed) < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count}",
            seen.load(Ordering::Relaxed)
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_delivery_allocates_no_more_than_it_needs() {
    let server = Server::start().unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let nats = tidewire::connect(server.url()).await.unwrap();
    // What is made once, and what publishing needs, is not counted: the consumer waits until all is stored.
    let running = counting(&seen).start(nats.clone()).await.unwrap();
    running.bus().publish(&order(0)).await.unwrap();
    reaches(&seen, 1).await;
    running.stop().await.unwrap();
    let mut least = u64::MAX;
    for round in 1..=ROUNDS {
        let publisher = Service::new("publishing", "1.0.0").publishes::<Placed>();
        let publisher = publisher.start(nats.clone()).await.unwrap();
        for batch in 0..MESSAGES / 100 {
            let batch = (0..100).map(|index| {
                let (bus, order) = (publisher.bus(), order(batch * 100 + index));
                async move { bus.publish(&order).await.unwrap() }
            });
            futures_util::future::join_all(batch).await;
        }
        publisher.stop().await.unwrap();
        let counted = Region::new(ALLOCATOR);
        let running = counting(&seen).start(nats.clone()).await.unwrap();
        reaches(&seen, 1 + round * MESSAGES).await;
        running.stop().await.unwrap();
        let change = counted.change();
        let each = u64::try_from(change.allocations + change.reallocations).unwrap() / MESSAGES;
        least = least.min(each);
        if least <= MOST {
            break;
        }
    }
    assert!(
        least <= MOST,
        "{least} allocations a delivery, and {MOST} are allowed"
    );
}
