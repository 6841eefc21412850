//! Messages that are tried as often as they may be.

use std::time::Duration;

use tidewire::prelude::*;

use super::{ANY, address};
use crate::{
    replays::replay_to,
    support::{
        PaymentProcessed, Seen, connect, eventually, http::figures, http::sum, kept, kept_reach,
        mortal::Mortal, payments, processed, server,
    },
};

async fn fail(Event(_): Event<PaymentProcessed>) -> Result<(), Failure> {
    Err("no van is free").or_retry()
}

/// Counted as what it is, and once more when it is given back and fails again.
#[tokio::test]
async fn what_was_tried_too_often_is_counted_and_again_after_a_replay() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let tired = Service::new("tired", "1.0.0")
        .on(durable("ship", fail).retry(Retry::immediate().max_attempts(2)))
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    let counted = async |letters: f64, retries: f64| {
        eventually(
            &format!("{letters} dead letters, {retries} retries"),
            async || {
                let now = figures(address(&tired), "tired").await;
                let dead = "tidewire_dead_letters_total{";
                let found = [
                    sum(&now, &[dead, "error_class=\"exhausted\""]),
                    sum(&now, &[dead]),
                    sum(&now, &["tidewire_retries_total{", "error_class=\"failed\""]),
                ];
                found
                    .iter()
                    .zip([letters, letters, retries])
                    .all(|(found, expected)| (found - expected).abs() < 1e-6)
            },
        )
        .await;
    };
    payments.bus().publish(&processed("p")).await.unwrap();
    let letters = kept_reach(&client, 1).await;
    counted(1.0, 1.0).await;
    replay_to(&client, &letters[0], "tired", "ship").await;
    counted(2.0, 2.0).await;
}

async fn hang(State(begun): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    begun.note(paid.payment_id);
    std::future::pending::<()>().await;
}

/// What a message that ends its process comes to is counted by whoever puts it away.
#[tokio::test]
async fn what_ended_its_process_each_time_is_counted_as_crashed() {
    let (server, begun) = (server(), Seen::default());
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let fatal = || {
        let hang = durable("hang", hang)
            .ack_wait(Duration::from_secs(1))
            .retry(Retry::immediate().max_attempts(1));
        Service::new("fatal", "1.0.0")
            .state(begun.clone())
            .on(hang)
            .monitor(ANY)
    };
    payments.bus().publish(&processed("p")).await.unwrap();
    let mut deaths = 0;
    let survivor = loop {
        let instance = Mortal::start(&server, fatal()).await;
        eventually("it runs or is put away", async || {
            begun.len() > deaths || !kept(&client).await.is_empty()
        })
        .await;
        if begun.len() == deaths {
            break instance;
        }
        instance.dies();
        deaths += 1;
        assert!(deaths <= 3, "two runs more than it may have, at most");
    };
    eventually("it is counted", async || {
        let now = figures(survivor.monitor(), "fatal").await;
        let letters = sum(&now, &["tidewire_dead_letters_total{", "error_class=\"crashed\""]);
        (letters - 1.0).abs() < 1e-6
    })
    .await;
    survivor.dies();
}
