//! Handlers that fail.

mod deleted;

use std::time::{Duration, Instant};

use tidewire::prelude::*;

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, kept_reach,
    payments, processed, quiet, server,
};

/// Fails in the way that its key says, the first time.
async fn fail_once(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    booked: Emit<ParcelBooked>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    let key = paid.payment_id.clone();
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
    if attempt == 1 {
        match key.as_str() {
            "retry" => Err("try again").or_retry_after(Duration::from_millis(20))?,
            "panic" => panic!("as a test does"),
            "decline" => return Err(Failure::decline("not_today", "as a test does")),
            _ => {}
        }
    }
    seen.note(format!("{key} {attempt}"));
    Ok(())
}

#[tokio::test]
async fn a_failed_attempt_emits_nothing_and_is_made_again() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .context(Context::new("orders.shipping"))
        .on(durable("ship", fail_once))
        .start(client.clone())
        .await
        .unwrap();
    let began = Instant::now();
    for key in ["retry", "panic", "decline", "fine"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    seen.reaches(3).await;
    assert_eq!(seen.sorted(), ["fine 1", "panic 2", "retry 2"]);
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "settled, not timed out: {:?}",
        began.elapsed()
    );
    eventually("all are settled", async || {
        let info = consumer(&client, PAYMENTS, "shipping__ship").await;
        info.num_ack_pending == 0 && info.num_pending == 0
    })
    .await;
    // One parcel for each message that succeeded, none for an attempt that did not.
    let parcels = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
    assert_eq!(parcels.cached_info().state.messages, 3);
}

async fn emit_badly(booked: Emit<ParcelBooked>, Event(_): Event<PaymentProcessed>) {
    booked.emit(ParcelBooked {
        payment_id: "good".into(),
    });
    booked.emit(ParcelBooked {
        payment_id: String::new(),
    });
}

#[tokio::test]
async fn an_event_that_cannot_be_written_fails_its_message_and_loses_nothing() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = Service::new("shipping", "1.0.0")
        .context(Context::new("orders.shipping"))
        .on(durable("ship", emit_badly))
        .start(client.clone())
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    assert_eq!(letters[0].record.trouble.as_ref().unwrap().class, "rejected");
    quiet(&client, PAYMENTS, "shipping__ship").await;
    // All or none: what can be written does not leave without what cannot.
    let parcels = jetstream(&client).get_stream("ORDERS__SHIPPING").await.unwrap();
    assert_eq!(parcels.cached_info().state.messages, 0);
}

#[tokio::test]
async fn a_consumer_that_is_deleted_is_made_again() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let _shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", crate::support::note))
        .start(client.clone())
        .await
        .unwrap();
    let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
    stream.delete_consumer("shipping__note").await.unwrap();
    let began = Instant::now();
    payments.bus().publish(&processed("p")).await.unwrap();
    seen.reaches(1).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// "From now on" was said once: what comes while there is no consumer is not skipped, nor what comes first to a new stream.
#[tokio::test]
async fn a_consumer_from_now_on_that_is_deleted_goes_on_at_its_place() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let first = payments().start(client.clone()).await.unwrap();
    first.bus().publish(&processed("before")).await.unwrap();
    let shipping = || {
        Service::new("shipping", "1.0.0")
            .state(seen.clone())
            .on(durable("note", crate::support::note).start(Start::Now))
            .start(client.clone())
    };
    let running = shipping().await.unwrap();
    first.bus().publish(&processed("one")).await.unwrap();
    seen.reaches(1).await;

    let js = jetstream(&client);
    let stream = js.get_stream(PAYMENTS).await.unwrap();
    stream.delete_consumer("shipping__note").await.unwrap();
    first.bus().publish(&processed("two")).await.unwrap();
    eventually("what came meanwhile is handled", async || {
        seen.sorted().contains(&"two".to_owned())
    })
    .await;
    running.stop().await.unwrap();
    let running = shipping().await.unwrap();

    js.delete_stream(PAYMENTS).await.unwrap();
    first.stop().await.unwrap();
    let again = payments().start(client.clone()).await.unwrap();
    again.bus().publish(&processed("three")).await.unwrap();
    eventually("the first of a new stream is handled", async || {
        seen.sorted().contains(&"three".to_owned())
    })
    .await;
    assert!(!seen.sorted().contains(&"before".to_owned()));
    running.stop().await.unwrap();
}

/// Somebody deletes the stream itself: the service says so by name, and goes on where there is one again.
#[tokio::test]
async fn a_stream_that_is_deleted_is_named_and_read_again() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let first = payments().start(client.clone()).await.unwrap();
    let shipping = Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", crate::support::note))
        .start(client.clone())
        .await
        .unwrap();
    jetstream(&client).delete_stream(PAYMENTS).await.unwrap();
    let began = Instant::now();
    let cause = "consumer-ORDERS__PAYMENTS-shipping__note";
    eventually("it is named", async || shipping.not_ready().contains_key(cause)).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // Whoever keeps it says so as the book shows it.
    let cause = "stream-ORDERS__PAYMENTS";
    eventually("its keeper names it", async || {
        first.not_ready().contains_key(cause)
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let line = format!("\n{cause}: {}\n", first.not_ready()[cause]);
    let page = include_str!("../../../../book/src/telemetry.md");
    assert!(page.contains(&line), "{line}");
    first.stop().await.unwrap();
    let again = payments().start(client.clone()).await.unwrap();
    again.bus().publish(&processed("p")).await.unwrap();
    seen.reaches(1).await;
    eventually("it is ready", async || shipping.not_ready().is_empty()).await;
}
