//! A consumer or a stream that somebody deletes while a service works through a backlog.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tidewire::{Running, async_nats::Client, prelude::*};
use tokio::sync::watch;

use crate::{
    commands::{BookParcel, QUEUE},
    support::{
        PAYMENTS, PaymentProcessed, connect, consumer, eventually, jetstream, kept, payments, quiet, server,
    },
};

/// How soon a service goes on.
const SOON: Duration = Duration::from_secs(15);
/// An instance takes 2,048 in hand at the most.
const BACKLOG: usize = 5_000;
/// Where keys are ordered it asks for as many again until 4,096 are in hand.
const BACKLOG_IN_LANES: usize = 9_000;
/// So many are handled when it happens.
const HANDLED: usize = 200;
const KEYS: usize = 40;
const AT_ONCE: usize = 16;
const SLOW: Duration = Duration::from_millis(5);

/// Key and number of what was handled, in its order; once some are handled, the others wait until it has happened.
#[derive(Clone, Debug, Default)]
struct Ran(Arc<Mutex<Vec<(String, usize)>>>, Arc<watch::Sender<bool>>);

impl Ran {
    /// What handling takes.
    async fn takes(&self, time: Duration) {
        tokio::time::sleep(time).await;
        if self.len() >= HANDLED {
            drop(self.1.subscribe().wait_for(|happened| *happened).await);
        }
    }

    fn happened(&self) {
        self.1.send_replace(true);
    }

    fn note(&self, key: String, number: &str) {
        self.0.lock().unwrap().push((key, number.parse().unwrap()));
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn numbers(&self) -> BTreeSet<usize> {
        self.0.lock().unwrap().iter().map(|(_, number)| *number).collect()
    }

    fn has(&self, number: usize) -> bool {
        self.0.lock().unwrap().iter().any(|(_, found)| *found == number)
    }

    /// Whether each number was handled for the first time after all those of its key before it.
    fn is_in_order(&self) -> bool {
        let mut firsts = BTreeMap::<_, Vec<usize>>::new();
        for (key, number) in self.0.lock().unwrap().iter() {
            let of_key = firsts.entry(key.clone()).or_default();
            if !of_key.contains(number) {
                of_key.push(*number);
            }
        }
        firsts.values().all(|numbers| numbers.is_sorted())
    }
}

async fn note(State(ran): State<Ran>, Event(paid): Event<PaymentProcessed>) {
    ran.takes(SLOW).await;
    ran.note(paid.payment_id, &paid.note);
}

async fn note_all(State(ran): State<Ran>, Batch(paid): Batch<PaymentProcessed>) {
    ran.takes(SLOW * 4).await;
    for paid in paid {
        ran.note(paid.payment_id, &paid.note);
    }
}

async fn note_parcel(State(ran): State<Ran>, Command(parcel): Command<BookParcel>) {
    ran.takes(SLOW).await;
    ran.note("parcels".into(), &parcel.payment_id);
}

/// A service with a backlog, and where it reads.
struct Worker {
    ran: Ran,
    running: Running,
    client: Client,
    stream: &'static str,
    consumer: &'static str,
    backlog: usize,
    /// The subject and the body of the message with a number.
    message: fn(usize) -> (String, Bytes),
}

fn event(number: usize) -> (String, Bytes) {
    let key = number % KEYS;
    let data = format!(r#"{{"payment_id":"k{key}","note":"{number}"}}"#);
    let subject = format!("orders.payments.payment.processed.k{key}");
    (subject, body("event", number, &data))
}

fn command(number: usize) -> (String, Bytes) {
    let data = format!(r#"{{"payment_id":"{number}"}}"#);
    let subject = format!("queue.orders.shipping.parcel.book.{number}");
    (subject, body("command", number, &data))
}

fn body(kind: &str, number: usize, data: &str) -> Bytes {
    let head = format!(r#""type":"{kind}","id":"{number}","timestamp":"2024-03-20T10:00:00Z""#);
    format!(r#"{{{head},"data":{data},"metadata":{{}}}}"#).into()
}

impl Worker {
    /// One that reads payments, as `declare` says.
    async fn of_payments(client: Client, declare: impl FnOnce(Service<Ran>) -> Service<Ran>) -> Self {
        // Whoever kept the stream is gone: nobody else looks after it.
        let payments = payments().start(client.clone()).await.unwrap();
        payments.stop().await.unwrap();
        let ran = Ran::default();
        let ledger = declare(Service::new("ledger", "1.0.0").state(ran.clone()));
        Self {
            running: ledger.start(client.clone()).await.unwrap(),
            ran,
            client,
            stream: PAYMENTS,
            consumer: "ledger__book",
            backlog: BACKLOG,
            message: event,
        }
    }

    async fn one_by_one(client: Client) -> Self {
        let durable = durable("book", note).concurrency(AT_ONCE);
        Self::of_payments(client, |ledger| ledger.on(durable)).await
    }

    async fn in_batches(client: Client) -> Self {
        let durable = durable("book", note_all).concurrency(4 * AT_ONCE);
        let within = Duration::from_millis(20);
        Self::of_payments(client, |ledger| ledger.on_batch(AT_ONCE, within, durable)).await
    }

    async fn in_order(client: Client) -> Self {
        let durable = durable("book", note).concurrency(AT_ONCE).ordered_by_key();
        Self {
            backlog: BACKLOG_IN_LANES,
            ..Self::of_payments(client, |ledger| ledger.on(durable)).await
        }
    }

    async fn of_a_queue(client: Client) -> Self {
        let ran = Ran::default();
        let carrier = Service::new("carrier", "1.0.0")
            .state(ran.clone())
            .context(Context::new("orders.shipping"))
            .on(durable("book", note_parcel).concurrency(AT_ONCE));
        Self {
            running: carrier.start(client.clone()).await.unwrap(),
            ran,
            client,
            stream: QUEUE,
            consumer: "carrier__book",
            backlog: BACKLOG,
            message: command,
        }
    }

    /// Publishes the messages with these numbers, in their order.
    async fn publish(&self, numbers: impl IntoIterator<Item = usize>) {
        let (js, numbers) = (jetstream(&self.client), numbers.into_iter().collect::<Vec<_>>());
        for some in numbers.chunks(200) {
            let mut sent = Vec::new();
            for number in some {
                let (subject, body) = (self.message)(*number);
                sent.push(js.publish(subject, body).await.unwrap().into_future());
            }
            try_join_all(sent).await.unwrap();
        }
    }

    /// Gives it a backlog, and returns amid the work: thousands wait, and tens are in hand.
    async fn is_amid_its_work(&self) {
        self.publish(0..self.backlog).await;
        eventually("some are handled", async || self.ran.len() >= HANDLED).await;
        let info = consumer(&self.client, self.stream, self.consumer).await;
        assert!(
            info.num_pending > 2_000 && info.num_ack_pending >= 10,
            "{} wait, and {} are in hand",
            info.num_pending,
            info.num_ack_pending
        );
    }

    async fn all_is_handled(&self) {
        eventually("every number is handled", async || {
            self.ran.len() >= self.backlog && self.ran.numbers().len() == self.backlog
        })
        .await;
        quiet(&self.client, self.stream, self.consumer).await;
        assert!(kept(&self.client).await.is_empty(), "no letters");
    }

    /// Somebody deletes the consumer: another one settles messages soon, and nothing is lost.
    async fn goes_on_with_another_consumer(&self) {
        self.is_amid_its_work().await;
        let before = consumer(&self.client, self.stream, self.consumer).await;
        let stream = jetstream(&self.client).get_stream(self.stream).await.unwrap();
        stream.delete_consumer(self.consumer).await.unwrap();
        let deleted = Instant::now();
        // What was in hand ends now, and has nobody to tell.
        self.ran.happened();
        eventually("another one settles messages", async || {
            let found = stream.consumer_info(self.consumer).await;
            found.is_ok_and(|info| info.created > before.created && info.ack_floor.stream_sequence > 0)
        })
        .await;
        assert!(deleted.elapsed() < SOON, "{:?}", deleted.elapsed());
        self.all_is_handled().await;
        eventually("it is ready", async || self.running.not_ready().is_empty()).await;
    }

    /// Somebody deletes the stream, and makes it again: that it is gone is named, and what comes then is handled soon.
    async fn goes_on_in_another_stream(&self) {
        self.is_amid_its_work().await;
        let js = jetstream(&self.client);
        let stream = js.get_stream(self.stream).await.unwrap();
        let config = stream.cached_info().config.clone();
        js.delete_stream(self.stream).await.unwrap();
        let deleted = Instant::now();
        self.ran.happened();
        let cause = format!("consumer-{}-{}", self.stream, self.consumer);
        eventually("it is named", async || {
            self.running.not_ready().contains_key(&cause)
        })
        .await;
        assert!(deleted.elapsed() < SOON, "{:?}", deleted.elapsed());
        js.create_stream(config).await.unwrap();
        let back = Instant::now();
        self.publish([self.backlog]).await;
        eventually("what came then is handled", async || self.ran.has(self.backlog)).await;
        assert!(back.elapsed() < SOON, "{:?}", back.elapsed());
        quiet(&self.client, self.stream, self.consumer).await;
        eventually("it is ready", async || self.running.not_ready().is_empty()).await;
        assert!(kept(&self.client).await.is_empty(), "no letters");
    }
}

#[tokio::test]
async fn a_consumer_that_is_deleted_amid_a_backlog_loses_nothing() {
    let server = server();
    let worker = Worker::one_by_one(connect(&server).await).await;
    worker.goes_on_with_another_consumer().await;
}

#[tokio::test]
async fn a_consumer_that_is_deleted_amid_batches_loses_nothing() {
    let server = server();
    let worker = Worker::in_batches(connect(&server).await).await;
    worker.goes_on_with_another_consumer().await;
}

#[tokio::test]
async fn a_consumer_that_is_deleted_amid_lanes_loses_nothing_and_no_order() {
    let server = server();
    let worker = Worker::in_order(connect(&server).await).await;
    worker.goes_on_with_another_consumer().await;
    assert!(worker.ran.is_in_order());
}

#[tokio::test]
async fn a_consumer_that_is_deleted_amid_a_queue_loses_nothing() {
    let server = server();
    let worker = Worker::of_a_queue(connect(&server).await).await;
    worker.goes_on_with_another_consumer().await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_amid_a_backlog_and_made_again_is_read_soon() {
    let server = server();
    let worker = Worker::one_by_one(connect(&server).await).await;
    worker.goes_on_in_another_stream().await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_amid_batches_and_made_again_is_read_soon() {
    let server = server();
    let worker = Worker::in_batches(connect(&server).await).await;
    worker.goes_on_in_another_stream().await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_amid_lanes_and_made_again_is_read_soon() {
    let server = server();
    let worker = Worker::in_order(connect(&server).await).await;
    worker.goes_on_in_another_stream().await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_amid_its_work_and_made_again_is_read_soon() {
    let server = server();
    let worker = Worker::of_a_queue(connect(&server).await).await;
    worker.goes_on_in_another_stream().await;
}
