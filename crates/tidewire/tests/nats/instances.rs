//! Several instances of one service, and several services.

use std::collections::BTreeMap;

use tidewire::prelude::*;

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, Seen, connect, consumer, eventually, note, payments, processed,
    quiet, server,
};

async fn note_slowly(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    seen.note(paid.payment_id);
}

#[tokio::test]
async fn two_instances_share_a_durable_and_one_takes_over() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let instance = async |seen: &Seen| {
        let service = Service::new("shipping", "1.0.0").state(seen.clone());
        service
            .on(durable("note", note_slowly).concurrency(2))
            .start(connect(&server).await)
            .await
            .unwrap()
    };
    let (one, two) = (Seen::default(), Seen::default());
    let first = instance(&one).await;
    let second = instance(&two).await;
    for key in 0..200 {
        payments
            .bus()
            .publish(&processed(format!("{key:03}")))
            .await
            .unwrap();
    }
    eventually("all are handled", async || one.len() + two.len() == 200).await;
    assert!(
        one.len() > 20 && two.len() > 20,
        "both work: {} and {}",
        one.len(),
        two.len()
    );
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for key in one.sorted().into_iter().chain(two.sorted()) {
        *times.entry(key).or_default() += 1;
    }
    assert!(
        times.len() == 200 && times.values().all(|count| *count == 1),
        "each once: {times:?}"
    );
    // The first leaves without a word; the second takes all that follows.
    drop(first);
    let before = two.len();
    for key in 200..250 {
        payments
            .bus()
            .publish(&processed(format!("{key:03}")))
            .await
            .unwrap();
    }
    two.reaches(before + 40).await;
    eventually("nothing is left", async || {
        let info = consumer(&client, PAYMENTS, "shipping__note").await;
        info.num_pending == 0 && one.len() + two.len() >= 250
    })
    .await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn two_services_with_one_durable_name_have_a_consumer_each() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let (one, two) = (Seen::default(), Seen::default());
    let mut running = Vec::new();
    for (name, seen) in [("shipping", &one), ("billing", &two)] {
        let service = Service::new(name, "1.0.0")
            .state(seen.clone())
            .on(durable("note", note));
        running.push(service.start(client.clone()).await.unwrap());
    }
    for key in ["1", "2", "3"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    one.reaches(3).await;
    two.reaches(3).await;
    for (service, seen) in running.into_iter().zip([one, two]) {
        service.stop().await.unwrap();
        assert_eq!(seen.sorted(), ["1", "2", "3"]);
    }
    for name in ["shipping", "billing"] {
        quiet(&client, PAYMENTS, &format!("{name}__note")).await;
        let info = consumer(&client, PAYMENTS, &format!("{name}__note")).await;
        assert_eq!(info.config.metadata["tidewire.service"], name);
        assert_eq!(info.ack_floor.stream_sequence, 3);
    }
}

async fn ship(booked: Emit<ParcelBooked>, Event(paid): Event<PaymentProcessed>) {
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
}

/// The same event, the same durable name, the same output: two services, so two events.
#[tokio::test]
async fn what_two_services_emit_for_one_event_are_two_events() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let mut running = Vec::new();
    for name in ["shipping", "express"] {
        let service = Service::new(name, "1.0.0").context(Context::new("orders.shipping"));
        running.push(
            service
                .on(durable("ship", ship))
                .start(client.clone())
                .await
                .unwrap(),
        );
    }
    payments.bus().publish(&processed("p")).await.unwrap();
    for name in ["shipping__ship", "express__ship"] {
        eventually("it is handled", async || {
            consumer(&client, PAYMENTS, name).await.ack_floor.stream_sequence == 1
        })
        .await;
    }
    let stream = crate::support::jetstream(&client)
        .get_stream("ORDERS__SHIPPING")
        .await
        .unwrap();
    assert_eq!(stream.cached_info().state.messages, 2);
}
