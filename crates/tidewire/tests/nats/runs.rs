//! Attempts are runs, and not deliveries.

use std::time::Duration;

use tidewire::{async_nats::Client, prelude::*};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually, jetstream, kept, kept_reach, payments,
    processed, quiet, server,
};

async fn slowly(State(seen): State<Seen>, Attempt(attempt): Attempt, Event(paid): Event<PaymentProcessed>) {
    tokio::time::sleep(Duration::from_millis(30)).await;
    seen.note(format!("{} {attempt}", paid.payment_id));
}

async fn note_attempt(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) {
    seen.note(format!("{} {attempt}", paid.payment_id));
}

fn shipping(seen: &Seen) -> Service<Seen> {
    // Two attempts: the ninth delivery of a message that was never run would be a dead letter four times over.
    let durable = durable("slowly", slowly)
        .concurrency(2)
        .retry(Retry::immediate().max_attempts(2));
    Service::new("shipping", "1.0.0").state(seen.clone()).on(durable)
}

#[tokio::test]
async fn eight_deployments_over_a_backlog_cost_no_attempt() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    for key in 0..300 {
        payments
            .bus()
            .publish(&processed(format!("{key:03}")))
            .await
            .unwrap();
    }
    for round in 1..=8 {
        let running = shipping(&seen).start(connect(&server).await).await.unwrap();
        seen.reaches(round * 10).await;
        running.stop().await.unwrap();
    }
    let info = consumer(&client, PAYMENTS, "shipping__slowly").await;
    let again = info.delivered.consumer_sequence - info.delivered.stream_sequence;
    assert!(again > 50, "{again} came again");
    let _running = shipping(&seen).start(connect(&server).await).await.unwrap();
    quiet(&client, PAYMENTS, "shipping__slowly").await;
    assert_eq!(seen.len(), 300);
    assert!(
        seen.sorted().iter().all(|run| run.ends_with(" 1")),
        "each was its first attempt"
    );
    assert!(kept(&client).await.is_empty());
}

/// Naks a message of the consumer by hand, as a worker does that gives it back.
async fn give_back_all(client: &Client, times: usize) {
    let stream = jetstream(client).get_stream(PAYMENTS).await.unwrap();
    let consumer = stream
        .get_consumer::<tidewire::async_nats::jetstream::consumer::pull::Config>("shipping__fail")
        .await
        .unwrap();
    for _ in 0..times {
        let mut batch = consumer
            .fetch()
            .max_messages(1)
            .expires(Duration::from_secs(60))
            .messages()
            .await
            .unwrap();
        let message = futures_util::StreamExt::next(&mut batch).await.unwrap().unwrap();
        message
            .double_ack_with(tidewire::async_nats::jetstream::AckKind::Nak(None))
            .await
            .unwrap();
    }
}

async fn fail(
    State(seen): State<Seen>,
    Attempt(attempt): Attempt,
    Event(_): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    seen.note(format!("{attempt}"));
    Err("as a test does").or_retry()
}

#[tokio::test]
async fn the_count_of_deliveries_is_not_that_of_attempts_and_outlives_the_process() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let shipping = |delay| {
        let durable = durable("fail", fail).retry(Retry::fixed(delay).max_attempts(3));
        Service::new("shipping", "1.0.0").state(seen.clone()).on(durable)
    };
    let hour = Duration::from_secs(3600);
    shipping(hour)
        .start(client.clone())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    give_back_all(&client, 5).await;
    let running = shipping(Duration::from_millis(300))
        .start(connect(&server).await)
        .await
        .unwrap();
    seen.reaches(1).await;
    running.stop().await.unwrap();
    // Another process goes on counting where this one stopped.
    let _running = shipping(Duration::ZERO)
        .start(connect(&server).await)
        .await
        .unwrap();
    let letters = kept_reach(&client, 1).await;
    assert_eq!(seen.sorted(), ["1", "2", "3"]);
    assert_eq!(letters[0].record.trouble.as_ref().unwrap().attempts, 3);
    quiet(&client, PAYMENTS, "shipping__fail").await;
    eventually("nothing more", async || kept(&client).await.len() == 1).await;
}

/// A server forgets the acks of its last tenth of a second when it is killed. A run that ended well has killed nobody,
/// however often its message comes again.
#[tokio::test]
async fn a_message_whose_acks_are_lost_is_no_dead_letter() {
    let (mut server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let durable = durable("note", note_attempt)
        .ack_wait(Duration::from_secs(1))
        .retry(Retry::immediate().max_attempts(2));
    let service = Service::new("shipping", "1.0.0").state(seen.clone()).on(durable);
    let _running = service.start(connect(&server).await).await.unwrap();
    payments.bus().publish(&processed("p")).await.unwrap();
    for run in 1..=5 {
        // Where the ack was quick enough nothing comes again, and the rest is shown already.
        let came = async {
            while seen.len() < run {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(4), came).await.is_err() {
            break;
        }
        server.kill().unwrap();
        server.restart().unwrap();
    }
    quiet(&client, PAYMENTS, "shipping__note").await;
    let letters = kept(&client).await;
    assert!(letters.is_empty(), "{:?}: {letters:#?}", seen.sorted());
}
