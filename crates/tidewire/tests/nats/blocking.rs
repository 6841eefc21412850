//! Handlers that block their thread.

use std::time::{Duration, Instant};

use tidewire::prelude::*;

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, note, processed, quiet,
    server,
};

const A_MINUTE: Duration = Duration::from_secs(60);
/// More than there are processors.
const BLOCKED: usize = 16;

async fn block(State(seen): State<Seen>, Event(parcel): Event<ParcelBooked>) {
    std::thread::sleep(A_MINUTE);
    seen.note(format!("blocked {}", parcel.payment_id));
}

/// On a runtime of one thread, with more blocked handlers than processors: the others go on, and no message that is
/// in hand is delivered again, though its ack wait is over twice.
#[tokio::test(flavor = "current_thread")]
async fn a_blocked_thread_stops_no_other_handler_and_no_mark_of_progress() {
    let (server, seen, blocked) = (server(), Seen::default(), Seen::default());
    let client = connect(&server).await;
    let sender = Service::new("payments", "1.0.0")
        .context(Context::new("orders.payments"))
        .context(Context::new("orders.shipping"))
        .publishes::<PaymentProcessed>()
        .publishes::<ParcelBooked>()
        .start(client.clone())
        .await
        .unwrap();
    let blocking = Service::new("blocking", "1.0.0")
        .state(blocked.clone())
        .on(durable("block", block));
    let other = Service::new("other", "1.0.0").state(seen.clone());
    let _other = other
        .on(durable("note", note))
        .start(client.clone())
        .await
        .unwrap();
    // In one service with the blocked handler, so that they share their threads.
    let blocking = blocking
        .on(durable("note", note))
        .start(client.clone())
        .await
        .unwrap();
    for key in 0..BLOCKED {
        sender
            .bus()
            .publish(&ParcelBooked {
                payment_id: key.to_string(),
            })
            .await
            .unwrap();
    }
    let began = Instant::now();
    for key in 0..100 {
        sender.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    seen.reaches(100).await;
    blocked.reaches(100).await;
    assert!(
        began.elapsed() < A_MINUTE / 2,
        "the others went on: {:?}",
        began.elapsed()
    );
    eventually("the server has given out all that block", async || {
        let info = consumer(&client, "ORDERS__SHIPPING", "blocking__block").await;
        info.num_ack_pending == BLOCKED
    })
    .await;
    while blocked.len() < 100 + BLOCKED {
        assert!(
            began.elapsed() < 2 * A_MINUTE,
            "{} of {BLOCKED}",
            blocked.len() - 100
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    blocking.stop().await.unwrap();
    quiet(&client, "ORDERS__SHIPPING", "blocking__block").await;
    quiet(&client, PAYMENTS, "blocking__note").await;
    let info = consumer(&client, "ORDERS__SHIPPING", "blocking__block").await;
    assert_eq!(
        info.delivered.consumer_sequence, BLOCKED as u64,
        "each was delivered once"
    );
    assert_eq!(info.num_redelivered, 0);
}
