//! Streams of contexts.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    Connect, StartError,
    async_nats::{
        HeaderMap, Message,
        jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
    prelude::*,
    wire,
};
use tidewire_server::Cluster;

use crate::support::{
    PAYMENTS, PaymentProcessed, PaymentRefunded, connect, connected, eventually, jetstream, payments,
    processed, server,
};

#[derive(Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.refunds.refund.paid", key = payment_id)]
struct RefundPaid {
    payment_id: String,
}

async fn config(server: &tidewire_server::Server) -> Config {
    let client = connect(server).await;
    jetstream(&client)
        .get_stream(PAYMENTS)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone()
}

#[tokio::test]
async fn a_context_gets_the_stream_of_the_contract() {
    let server = server();
    let _payments = payments().start(connect(&server).await).await.unwrap();
    let config = config(&server).await;
    assert_eq!(config.subjects, ["orders.payments.payment.processed.*"]);
    assert_eq!(
        (config.retention, config.storage),
        (RetentionPolicy::Limits, StorageType::File)
    );
    assert_eq!(config.discard, DiscardPolicy::New);
    assert!(config.deny_delete && config.deny_purge && config.allow_atomic_publish && config.allow_direct);
    assert!(!config.allow_rollup && !config.allow_message_schedules && config.subject_transform.is_none());
}

/// Without the lease one of the two would undo the other: the server compares nothing.
#[tokio::test]
async fn two_services_that_add_at_the_same_moment_both_keep_theirs() {
    for _ in 0..10 {
        let server = server();
        let (one, two) = (connect(&server).await, connect(&server).await);
        let refunds = Service::new("refunds", "1.0.0")
            .context(Context::new("orders.payments"))
            .publishes::<PaymentRefunded>();
        let (payments, refunds) = tokio::join!(payments().start(one), refunds.start(two));
        payments.unwrap().bus().publish(&processed("p")).await.unwrap();
        refunds
            .unwrap()
            .bus()
            .publish(&PaymentRefunded {
                payment_id: "p".into(),
            })
            .await
            .unwrap();
        assert_eq!(config(&server).await.subjects.len(), 2);
    }
}

/// The server ends the lease of one that died while it held it, and the next one waits for that.
#[tokio::test]
async fn a_lease_whose_holder_died_is_taken_when_its_life_is_over() {
    let server = server();
    let client = connect(&server).await;
    let subject = format!("$KV.{}.>", wire::LEASES_BUCKET);
    let mut writes = client.subscribe(subject).await.unwrap();
    let _payments = payments().start(client.clone()).await.unwrap();
    let taken = writes.next().await.unwrap();
    let life = |write: &Message| {
        write
            .headers
            .as_ref()
            .unwrap()
            .get(wire::TTL)
            .map(ToString::to_string)
    };
    assert_eq!(life(&taken).as_deref(), Some("30s"));
    let given_back = writes.next().await.unwrap();
    assert_eq!((&given_back.subject, life(&given_back)), (&taken.subject, None));

    // Over the mark that it was given back.
    let mut headers = HeaderMap::new();
    headers.append(wire::TTL, "2s");
    headers.append(wire::EXPECTED_LAST_SUBJECT_SEQUENCE, "2");
    let js = jetstream(&client);
    let began = Instant::now();
    let held = js.publish_with_headers(taken.subject.clone(), headers, "the dead".into());
    held.await.unwrap().await.unwrap();
    drop(writes.next().await.unwrap());
    let refunds = Service::new("refunds", "1.0.0")
        .context(Context::new("orders.payments"))
        .publishes::<PaymentRefunded>();
    refunds.start(client).await.unwrap();
    // By the server's clock, which is another one.
    assert!(
        began.elapsed() > Duration::from_millis(1_990),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(config(&server).await.subjects.len(), 2);
    let taken = writes.next().await.unwrap();
    assert_eq!(life(&taken).as_deref(), Some("30s"));
}

#[tokio::test]
async fn settings_grow_and_do_not_shrink() {
    let server = server();
    let client = connect(&server).await;
    let with = |context: Context| {
        Service::new("payments", "1.0.0")
            .context(context)
            .publishes::<PaymentProcessed>()
    };
    let context = || Context::new("orders.payments");
    let day = Duration::from_secs(86_400);
    // Shorter than the usual duplicate window, which has to follow.
    let short = Context::new("orders.refunds").max_age(Duration::from_secs(10));
    let refunds = Service::new("refunds", "1.0.0")
        .context(short)
        .publishes::<RefundPaid>();
    refunds.start(client.clone()).await.unwrap();
    with(context().max_age(day).max_bytes(1 << 20))
        .start(client.clone())
        .await
        .unwrap();
    with(context().max_age(2 * day))
        .start(client.clone())
        .await
        .unwrap();
    let found = config(&server).await;
    assert_eq!((found.max_age, found.max_bytes), (2 * day, 1 << 20));
    let error = with(context().max_age(day))
        .start(client.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::StreamDiffers { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("max_age: 86400s declared, 172800s found"),
        "{error}"
    );
    assert_eq!(config(&server).await, found);
}

#[tokio::test]
async fn a_stream_of_another_kind_is_refused_with_the_difference() {
    let server = server();
    let client = connect(&server).await;
    let foreign = Config {
        name: PAYMENTS.into(),
        subjects: vec!["orders.payments.payment.processed.*".into()],
        retention: RetentionPolicy::WorkQueue,
        ..Default::default()
    };
    jetstream(&client).create_stream(foreign).await.unwrap();
    let error = payments().start(client).await.unwrap_err().to_string();
    assert!(
        error.contains("retention: limits is needed and WorkQueue found"),
        "{error}"
    );
}

#[tokio::test]
async fn three_replicas_outlive_their_leader() {
    let mut cluster = Cluster::start(3).unwrap();
    let client = connected(Connect::to(cluster.url())).await.client();
    let service = Service::new("payments", "1.0.0")
        .context(Context::new("orders.payments").replicas(3))
        .publishes::<PaymentProcessed>();
    let running = service.start(client.clone()).await.unwrap();
    let (bus, mut tries) = (running.bus(), 0_u64);
    for key in 0..40 {
        if key == 20 {
            let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
            let leader = stream
                .cached_info()
                .cluster
                .as_ref()
                .unwrap()
                .leader
                .clone()
                .unwrap();
            let leader: usize = leader.trim_start_matches("node-").parse().unwrap();
            cluster.node_mut(leader).kill().unwrap();
        }
        // An election on a busy machine may take longer than a publish is tried.
        eventually("it is stored", async || {
            tries += 1;
            bus.publish(&processed(key.to_string())).await.is_ok()
        })
        .await;
    }
    // What was not confirmed may be stored all the same, and once more with the next try.
    eventually("all are in the stream", async || {
        let Ok(stream) = jetstream(&client).get_stream(PAYMENTS).await else {
            return false;
        };
        (40..=tries).contains(&stream.cached_info().state.messages)
    })
    .await;
}
