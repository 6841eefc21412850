//! What is said of a message whose handler is slower than the server's patience, as somebody hears it who listens at the ack
//! subjects.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::StreamExt;
use tidewire::{
    Connect,
    async_nats::{Client, Subscriber},
    prelude::*,
};
use tokio::sync::watch;

use crate::support::{
    PAYMENTS, ParcelBooked, PaymentProcessed, connect, connected, consumer, eventually, jetstream, kept,
    payments, processed, quiet, server,
};

/// What was said of one delivery, without the marks that it is in progress.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settlement {
    /// The place of the message in its stream.
    pub(crate) sequence: u64,
    /// The number of the delivery.
    pub(crate) delivery: u64,
    /// `+ACK`, `-NAK`, or `+TERM`.
    pub(crate) said: String,
}

/// Hears what is said of the messages of one consumer.
pub(crate) struct Settlements {
    client: Client,
    heard: Subscriber,
    /// A subject like those that are heard, and none of the server's.
    end: String,
    settled: Vec<Settlement>,
    marks: usize,
}

impl Settlements {
    pub(crate) async fn listen(client: &Client, stream: &str, consumer: &str) -> Self {
        let subject = format!("$JS.ACK.{stream}.{consumer}");
        let heard = client.subscribe(format!("{subject}.>")).await.unwrap();
        // Answered on the same connection: from now on it hears.
        jetstream(client).get_stream(stream).await.unwrap();
        Self {
            client: client.clone(),
            heard,
            end: format!("{subject}.end"),
            settled: Vec::new(),
            marks: 0,
        }
    }

    /// All that was said until now, by message and delivery; what was said twice is there twice.
    pub(crate) async fn so_far(&mut self) -> Vec<Settlement> {
        self.client.publish(self.end.clone(), "end".into()).await.unwrap();
        loop {
            let message = tokio::time::timeout(Duration::from_secs(30), self.heard.next()).await;
            let message = message.expect("the end is heard").expect("it still hears");
            if message.subject.as_str() == self.end {
                break;
            }
            let number = |token: usize| {
                let token = message.subject.split('.').nth(token);
                token.unwrap().parse().unwrap()
            };
            let payload = String::from_utf8_lossy(&message.payload);
            match payload.split_whitespace().next().unwrap_or("+ACK") {
                "+WPI" => self.marks += 1,
                said => self.settled.push(Settlement {
                    sequence: number(5),
                    delivery: number(4),
                    said: said.to_owned(),
                }),
            }
        }
        let mut settled = self.settled.clone();
        // Stable: what is said of one delivery stays in its order.
        settled.sort_by_key(|settlement| (settlement.sequence, settlement.delivery));
        settled
    }
}

pub(crate) fn settlement(sequence: u64, delivery: u64, said: &str) -> Settlement {
    Settlement {
        sequence,
        delivery,
        said: said.to_owned(),
    }
}

const SHIP: &str = "shipping__ship";

/// How the first run hangs, and how often a handler began.
#[derive(Clone)]
struct World {
    first: First,
    began: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum First {
    /// Without its thread.
    Waits(Duration),
    /// Until it is let go, with its thread: no time limit ends it.
    Blocks(watch::Receiver<bool>),
    /// Until it is let go.
    Until(watch::Receiver<bool>),
    /// Until it is let go, and then fails for good.
    FailsAfter(watch::Receiver<bool>),
}

impl World {
    fn new(first: First) -> Self {
        Self {
            first,
            began: Arc::default(),
            ended: Arc::default(),
        }
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

async fn ship(
    State(world): State<World>,
    booked: Emit<ParcelBooked>,
    Event(paid): Event<PaymentProcessed>,
) -> Result<(), Failure> {
    let mut result = Ok(());
    booked.emit(ParcelBooked {
        payment_id: paid.payment_id,
    });
    if world.began.fetch_add(1, Ordering::SeqCst) == 0 {
        match world.first.clone() {
            First::Waits(long) => tokio::time::sleep(long).await,
            First::Blocks(let_go) => {
                while !*let_go.borrow() {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            First::Until(mut let_go) => drop(let_go.wait_for(|let_go| *let_go).await),
            First::FailsAfter(mut let_go) => {
                drop(let_go.wait_for(|let_go| *let_go).await);
                result = Err("this address is unknown").or_reject();
            }
        }
    }
    world.ended.fetch_add(1, Ordering::SeqCst);
    result
}

/// A durable with one effect for each message.
fn shipping(world: &World, ack_wait: Duration, time_limit: Duration) -> Service<World> {
    let durable = durable("ship", ship)
        .ack_wait(ack_wait)
        .time_limit(time_limit)
        .retry(Retry::fixed(Duration::from_millis(20)))
        .effectively_once();
    Service::new("shipping", "1.0.0")
        .state(world.clone())
        .context(Context::new("orders.shipping"))
        .on(durable)
}

async fn parcels(client: &Client) -> u64 {
    let stream = jetstream(client).get_stream("ORDERS__SHIPPING").await.unwrap();
    stream.cached_info().state.messages
}

/// It waits for three times its ack wait: it is marked as in progress all the time, and settled once.
#[tokio::test]
async fn a_handler_that_hangs_for_three_ack_waits_is_marked_and_settled_once() {
    // Three marks are made within it: a machine may stand still for the time of nearly two of them.
    let ack_wait = Duration::from_secs(10);
    let (server, world) = (server(), World::new(First::Waits(ack_wait * 3)));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let service = shipping(&world, ack_wait, ack_wait * 100);
    let _shipping = service.start(connect(&server).await).await.unwrap();
    let mut settlements = Settlements::listen(&client, PAYMENTS, SHIP).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    eventually("it has run", async || world.ended() == 1).await;
    quiet(&client, PAYMENTS, SHIP).await;
    assert_eq!(settlements.so_far().await, [settlement(1, 1, "+ACK")]);
    assert!(settlements.marks >= 6, "{} marks", settlements.marks);
    assert_eq!(
        (world.began.load(Ordering::SeqCst), parcels(&client).await),
        (1, 1)
    );
}

/// It blocks its thread beyond its time limit and its ack wait: the server gives the message to another attempt, and that one
/// has settled it before the first one ends.
#[tokio::test]
async fn a_handler_that_blocks_beyond_its_time_settles_nothing_when_it_ends() {
    let ack_wait = Duration::from_secs(2);
    let (let_go, told) = watch::channel(false);
    let (server, world) = (server(), World::new(First::Blocks(told)));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let service = shipping(&world, ack_wait, ack_wait);
    let running = service.start(connect(&server).await).await.unwrap();
    let mut settlements = Settlements::listen(&client, PAYMENTS, SHIP).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    is_acked(&mut settlements).await;
    let ended = world.ended();
    let_go.send_replace(true);
    eventually("the first attempt has ended", async || world.ended() > ended).await;
    // Whatever it says, it has said before the service is over.
    running.stop().await.unwrap();
    settled_by_a_later_delivery(&client, &mut settlements).await;
}

#[tokio::test]
async fn an_instance_that_stands_still_amid_a_run_settles_nothing_when_it_wakes() {
    stands_still(First::Until).await;
}

#[tokio::test]
async fn a_run_that_fails_after_another_one_has_settled_its_message_stores_no_letter() {
    stands_still(First::FailsAfter).await;
}

/// An instance that stands still amid a run, as one does under SIGSTOP, until another one has settled the message.
async fn stands_still(first: impl FnOnce(watch::Receiver<bool>) -> First) {
    let ack_wait = Duration::from_secs(6);
    let (let_go, told) = watch::channel(false);
    let (server, world) = (server(), World::new(first(told)));
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let (hold, pausing) = watch::channel(false);
    let still = {
        let (url, world, mut pausing) = (server.url(), world.clone(), pausing);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let nats = connected(Connect::to(url)).await;
                let service = shipping(&world, ack_wait, ack_wait * 100);
                let running = service.start(nats).await.unwrap();
                pausing.changed().await.unwrap();
                // Neither its marks nor its acks leave meanwhile.
                while *pausing.borrow() {
                    thread::sleep(Duration::from_millis(10));
                }
                eventually("the stale attempt has ended", async || world.ended() >= 2).await;
                running.stop().await.unwrap();
            });
        })
    };
    eventually("the consumer is there", async || {
        let stream = jetstream(&client).get_stream(PAYMENTS).await.unwrap();
        stream.consumer_info(SHIP).await.is_ok()
    })
    .await;
    let mut settlements = Settlements::listen(&client, PAYMENTS, SHIP).await;
    payments.bus().publish(&processed("p")).await.unwrap();
    eventually("it has begun", async || world.began.load(Ordering::SeqCst) >= 1).await;
    hold.send_replace(true);
    let second = shipping(&world, ack_wait, ack_wait * 100);
    let second = second.start(connect(&server).await).await.unwrap();
    is_acked(&mut settlements).await;
    let_go.send_replace(true);
    hold.send_replace(false);
    tokio::task::spawn_blocking(move || still.join().unwrap())
        .await
        .unwrap();
    second.stop().await.unwrap();
    settled_by_a_later_delivery(&client, &mut settlements).await;
}

/// Waits until the message is acknowledged.
async fn is_acked(settlements: &mut Settlements) {
    eventually("it is acknowledged", async || {
        let settled = settlements.so_far().await;
        settled.iter().any(|settlement| settlement.said == "+ACK")
    })
    .await;
}

/// Of the first delivery nothing is said, and it has one effect; a busy machine may need more than one other delivery.
async fn settled_by_a_later_delivery(client: &Client, settlements: &mut Settlements) {
    quiet(client, PAYMENTS, SHIP).await;
    let settled = settlements.so_far().await;
    let info = consumer(client, PAYMENTS, SHIP).await;
    assert!(
        settled.iter().all(|settlement| settlement.delivery > 1),
        "{settled:?}"
    );
    assert_eq!(info.ack_floor.stream_sequence, 1);
    assert_eq!(parcels(client).await, 1);
    assert!(kept(client).await.is_empty(), "no letter");
}
