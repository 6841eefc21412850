//! Handlers that are slower than their stream.

use tidewire::prelude::*;

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, payments, processed, server,
};

async fn never(State(seen): State<Seen>, Event(_): Event<PaymentProcessed>) {
    seen.note("begun");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_slow_handler_holds_few_messages() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..2_000 {
        payments.bus().publish(&processed(key.to_string())).await.unwrap();
    }
    let service = Service::new("slow", "1.0.0")
        .state(seen.clone())
        .on(durable("never", never).concurrency(3));
    let _slow = service.start(connect(&server).await).await.unwrap();
    seen.reaches(3).await;
    // Asked for at once: what three handlers can begin within ten seconds, if they take half a second each.
    eventually("what was asked for has come", async || {
        consumer(&client, PAYMENTS, "slow__never").await.num_ack_pending == 60
    })
    .await;
    assert_eq!(seen.len(), 3, "no more than three run at once");
}

#[tokio::test]
async fn a_slow_handler_holds_few_bytes() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let (size, count) = (500_000, 100);
    for key in 0..count {
        let large = PaymentProcessed {
            note: "x".repeat(size),
            ..processed(key.to_string())
        };
        payments.bus().publish(&large).await.unwrap();
    }
    let service = Service::new("slow", "1.0.0")
        .state(seen.clone())
        .on(durable("never", never));
    let _slow = service.start(connect(&server).await).await.unwrap();
    // Sixteen mebibytes are the budget; the server sends nothing beyond what was asked for.
    seen.reaches(20).await;
    let info = consumer(&client, PAYMENTS, "slow__never").await;
    let held = info.num_ack_pending * size;
    assert!(held <= 16 << 20, "{held} bytes in hand");
    assert!(info.num_pending > 0);
    assert_eq!(
        jetstream(&client)
            .get_stream(PAYMENTS)
            .await
            .unwrap()
            .cached_info()
            .state
            .messages,
        count
    );
}
