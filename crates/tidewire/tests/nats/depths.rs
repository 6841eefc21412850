//! How much waits for a durable, as gauges.

use std::{
    collections::BTreeMap,
    mem::forget,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, NoopRecorder, Recorder, SharedString, Unit,
    atomics::AtomicU64, set_default_local_recorder,
};
use tidewire::{
    Connect, Connection, Running,
    async_nats::{Client, datetime::parse_rfc3339},
    prelude::*,
};
use tidewire_server::Server;
use tokio::sync::Semaphore;

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, connected, eventually, jetstream, note, payments, processed,
    server,
};

/// The gauges of this thread, each with its labels: `name{label=value,…}`.
#[derive(Clone, Default)]
struct Gauges(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>, Described);

type Described = Arc<Mutex<BTreeMap<String, Option<Unit>>>>;

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.1.lock().unwrap().insert(name.as_str().to_owned(), unit);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let gauge = Arc::new(AtomicU64::new((-1.0_f64).to_bits()));
        let before = self.0.lock().unwrap().insert(name.clone(), gauge.clone());
        assert!(before.is_none(), "{name} is registered twice");
        Gauge::from_arc(gauge)
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Gauges {
    /// -1 where nothing was said yet.
    fn of(&self, name: &str, service: &str) -> f64 {
        let name = format!("tidewire_consumer_{name}{{service={service},consumer={service}__note}}");
        let gauges = self.0.lock().unwrap();
        gauges
            .get(&name)
            .map_or(-1.0, |gauge| f64::from_bits(gauge.load(Ordering::SeqCst)))
    }

    /// Pending, unacknowledged and redelivered.
    fn counts(&self, service: &str) -> [f64; 3] {
        ["pending", "unacknowledged", "redelivered"].map(|name| self.of(&format!("{name}_messages"), service))
    }

    fn oldest(&self, service: &str) -> f64 {
        self.of("oldest_pending_seconds", service)
    }
}

fn shipping(seen: &Seen) -> Service<Seen> {
    Service::new("shipping", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note))
}

fn billing(seen: &Seen) -> Service<Seen> {
    Service::new("billing", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note))
}

/// Makes the service's consumers, and keeps all of them from getting anything.
async fn paused(client: &Client, service: Service<Seen>, name: &str) {
    service.start(client.clone()).await.unwrap().stop().await.unwrap();
    for stream in [PAYMENTS, &format!("TW_{}", name.to_uppercase())] {
        pause(client, stream, &format!("{name}__note"), "2100-01-01T00:00:00Z").await;
    }
}

async fn pause(client: &Client, stream: &str, consumer: &str, until: &str) {
    let stream = jetstream(client).get_stream(stream).await.unwrap();
    let until = parse_rfc3339(until).unwrap();
    stream.pause_consumer(consumer, until).await.unwrap();
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "whole numbers")]
async fn a_durable_is_measured_over_its_streams_and_replays() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let seen = Seen::default();
    paused(&client, shipping(&seen), "shipping").await;
    let began = std::time::Instant::now();
    payments.bus().publish(&processed("p-1")).await.unwrap();
    // The first one is to be older than the others by more than what a look takes.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for key in ["p-2", "p-3"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    let replay = jetstream(&client)
        .publish("retry.shipping.note.x", "{}".into())
        .await;
    replay.unwrap().await.unwrap();
    let gauges = Gauges::default();
    let _recorder = set_default_local_recorder(&gauges);

    let _running = shipping(&seen).start(client.clone()).await.unwrap();
    eventually("what waits is said", async || {
        gauges.counts("shipping") == [4.0, 0.0, 0.0]
    })
    .await;
    let oldest = gauges.oldest("shipping");
    assert!(
        oldest >= 3.0 && oldest <= began.elapsed().as_secs_f64(),
        "{oldest}"
    );

    pause(&client, PAYMENTS, "shipping__note", "2020-01-01T00:00:00Z").await;
    seen.reaches(3).await;
    eventually("only the replay waits", async || {
        gauges.counts("shipping") == [1.0, 0.0, 0.0]
    })
    .await;
    pause(&client, "TW_SHIPPING", "shipping__note", "2020-01-01T00:00:00Z").await;
    eventually("nothing waits", async || {
        gauges.counts("shipping") == [0.0; 3] && gauges.oldest("shipping") == 0.0
    })
    .await;
    let described = gauges.1.lock().unwrap().clone();
    let depths = described
        .iter()
        .filter(|(name, _)| name.starts_with("tidewire_consumer_"));
    let units: Vec<_> = depths.map(|(_, unit)| unit).collect();
    assert_eq!(
        units,
        [
            &Some(Unit::Seconds),
            &Some(Unit::Count),
            &Some(Unit::Count),
            &Some(Unit::Count)
        ]
    );
}

/// A server on which `shipping` may not read messages of the payments' stream, two services that read it and are paused,
/// and a message in it; with who publishes there.
struct Refusing {
    server: Server,
    admin: Connection,
    shipping: Connection,
    payments: Running,
    seen: Seen,
}

impl Refusing {
    async fn start() -> Self {
        // Who connects has two seconds to say who it is, unless the server is told otherwise.
        let config = format!(
            "authorization {{
                timeout: 30
                users: [
                    {{ user: admin, password: admin }}
                    {{ user: shipping, password: shipping, permissions: {{
                        publish: {{ deny: \"$JS.API.STREAM.MSG.GET.{PAYMENTS}\" }} }} }}
                ]
            }}"
        );
        let server = Server::builder().config(config).start().unwrap();
        let connect =
            async |user: &str| connected(Connect::to(server.url()).user(user, user.to_owned())).await;
        let (admin, refused) = (connect("admin").await, connect("shipping").await);
        let payments = payments().start(admin.clone()).await.unwrap();
        let seen = Seen::default();
        paused(&admin.client(), shipping(&seen), "shipping").await;
        paused(&admin.client(), billing(&seen), "billing").await;
        payments.bus().publish(&processed("p-1")).await.unwrap();
        Self {
            server,
            admin,
            shipping: refused,
            payments,
            seen,
        }
    }

    fn refusals(&self) -> usize {
        self.server.log().unwrap().matches("Publish Violation").count()
    }
}

/// The one that is measured gets its recorder from the thread of the test. What asks runs on another thread, which has none,
/// whatever other tests have given to the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[expect(clippy::float_cmp, reason = "whole numbers")]
async fn without_a_recorder_nothing_is_asked() {
    let world = Refusing::start().await;
    tokio::spawn(async { forget(set_default_local_recorder(&NoopRecorder)) })
        .await
        .unwrap();
    let none = set_default_local_recorder(&NoopRecorder);
    let _unmeasured = shipping(&world.seen).start(world.shipping.clone()).await.unwrap();
    drop(none);
    let gauges = Gauges::default();
    let _recorder = set_default_local_recorder(&gauges);
    let _measured = billing(&world.seen).start(world.admin.clone()).await.unwrap();
    eventually("the second one is measured", async || {
        gauges.counts("billing") == [1.0, 0.0, 0.0]
    })
    .await;
    assert_eq!(gauges.counts("shipping"), [-1.0; 3]);
    assert_eq!(world.refusals(), 0, "the first one was measured too");
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "whole numbers")]
async fn what_may_not_be_asked_is_asked_once_and_keeps_no_service_from_its_start() {
    let world = Refusing::start().await;
    let gauges = Gauges::default();
    let _recorder = set_default_local_recorder(&gauges);
    let _refused = shipping(&world.seen).start(world.shipping.clone()).await.unwrap();
    let _measured = billing(&world.seen).start(world.admin.clone()).await.unwrap();
    eventually("one is measured and the other one is not", async || {
        gauges.oldest("shipping").is_nan() && gauges.counts("billing")[0] == 1.0
    })
    .await;
    world.payments.bus().publish(&processed("p-2")).await.unwrap();
    eventually("the next ten seconds are over", async || {
        gauges.counts("billing")[0] == 2.0
    })
    .await;
    assert!(gauges.oldest("shipping").is_nan());
    // Only its age is not known.
    assert!(!gauges.of("pending_messages", "shipping").is_nan());
    assert_eq!(world.refusals(), 1);
}

#[derive(Clone)]
struct Hold {
    seen: Seen,
    gate: Arc<Semaphore>,
}

/// Fails with `again` once, and then keeps whatever comes until it is let go.
async fn hold(
    State(hold): State<Hold>,
    Attempt(attempt): Attempt,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    if paid.payment_id == "again" && attempt == 1 {
        return Err("not yet").or_retry_after(Duration::from_millis(10));
    }
    hold.seen.note(paid.payment_id);
    hold.gate.acquire().await.unwrap().forget();
    Ok(())
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "whole numbers")]
async fn what_is_in_hand_and_what_was_delivered_again_are_measured() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let gauges = Gauges::default();
    let _recorder = set_default_local_recorder(&gauges);
    let held = Hold {
        seen: Seen::default(),
        gate: Arc::new(Semaphore::new(0)),
    };
    let holding = Service::new("holding", "1.0.0").state(held.clone());
    let _holding = holding
        .on(durable("note", hold).concurrency(3))
        .start(client.clone())
        .await
        .unwrap();
    for key in ["again", "a", "b"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    held.seen.reaches(3).await;
    eventually("three are in hand, one of them for the second time", async || {
        gauges.counts("holding") == [0.0, 3.0, 1.0]
    })
    .await;
    assert!(gauges.oldest("holding") > 0.0);
    held.gate.add_permits(3);
    eventually("nothing is in hand", async || {
        gauges.counts("holding") == [0.0; 3] && gauges.oldest("holding") == 0.0
    })
    .await;
}
