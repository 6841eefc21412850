//! How far durables are behind.

use std::time::Duration;

use futures_util::TryStreamExt;
use tidewire::{
    Connect, Connection, Timestamp,
    async_nats::jetstream::{
        AckKind, Message,
        consumer::{PriorityPolicy, PullConsumer, pull},
        context::CreateStreamErrorKind,
        stream,
    },
    wire,
};
use tidewire_ops::{ConsumerLag, Consumers, Drain, Lag, Scope};
use tidewire_server::{Cluster, Server};
use tokio::time::{Instant, sleep};

use crate::letters::connected;

const BOUND: Duration = Duration::from_secs(30);

async fn connect(server: &Server) -> Connection {
    connected(Connect::to(server.url())).await
}

async fn make_stream(nats: &Connection, name: &str, subjects: &str) {
    let config = stream::Config {
        name: name.into(),
        subjects: subjects.split(' ').map(str::to_owned).collect(),
        ..stream::Config::default()
    };
    create(nats, config).await;
}

/// Makes a stream. A cluster that has just begun, or elects a leader, may leave the first question unanswered.
async fn create(nats: &Connection, config: stream::Config) {
    let deadline = Instant::now() + BOUND;
    loop {
        let Err(error) = nats.jetstream().create_stream(config.clone()).await else {
            return;
        };
        assert_eq!(error.kind(), CreateStreamErrorKind::TimedOut, "{error}");
        assert!(Instant::now() < deadline, "{error}");
    }
}

/// A consumer as a service makes it.
async fn durable(
    nats: &Connection,
    stream: &str,
    service: &str,
    name: &str,
    filters: &[&str],
) -> PullConsumer {
    let config = pull::Config {
        filter_subjects: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        ..owned(service, name)
    };
    let stream = nats.jetstream().get_stream(stream).await.unwrap();
    stream.create_consumer(config).await.unwrap()
}

fn owned(service: &str, name: &str) -> pull::Config {
    let metadata = [(wire::META_SERVICE, service), (wire::META_HANDLER, name)];
    pull::Config {
        durable_name: Some(wire::consumer_name(service, name)),
        metadata: metadata
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..pull::Config::default()
    }
}

async fn publish(nats: &Connection, subject: &str, count: usize) {
    let js = nats.jetstream();
    for _ in 0..count {
        js.publish(subject.to_owned(), "{}".into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
}

/// Waits until so many messages wait for the durable `ship`: a publisher has its ack a moment before consumers count.
async fn counted(nats: &Connection, stream: &str, pending: u64) {
    let stream = nats.jetstream().get_stream(stream).await.unwrap();
    let deadline = Instant::now() + BOUND;
    loop {
        let info = stream.consumer_info("shipping__ship").await.unwrap();
        if info.num_pending == pending {
            return;
        }
        assert!(Instant::now() < deadline, "{pending} are not counted: {info:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn fetch(consumer: &PullConsumer, count: usize) -> Vec<Message> {
    let batch = consumer.batch().max_messages(count).expires(BOUND);
    let messages: Vec<_> = batch.messages().await.unwrap().try_collect().await.unwrap();
    assert_eq!(messages.len(), count);
    messages
}

/// Acks, and returns when the server has done it.
async fn ack(messages: &[Message]) {
    for message in messages {
        message.double_ack().await.unwrap();
    }
}

async fn read(nats: &Connection) -> Consumers {
    Consumers::read(nats, &Scope::default()).await.unwrap()
}

/// How far all of them are behind since `before`; with the time of the first one's leader.
async fn since(nats: &Connection, before: &Consumers) -> (Vec<ConsumerLag>, Timestamp) {
    let after = read(nats).await;
    let lag = Lag::between(nats, before, &after).await.unwrap();
    assert!(lag.unanswered.is_empty(), "{lag:?}");
    let time = after.consumers.first().map(|state| state.time);
    (lag.consumers, time.unwrap_or_default())
}

/// When a stream stored a message.
async fn stored(nats: &Connection, stream: &str, sequence: u64) -> Timestamp {
    let stream = nats.jetstream().get_stream(stream).await.unwrap();
    let nanos = stream
        .get_raw_message(sequence)
        .await
        .unwrap()
        .time
        .unix_timestamp_nanos();
    Timestamp::from_unix(Duration::from_nanos(nanos.try_into().unwrap()))
}

/// Whether an age is that of this message: the client's times are of whole microseconds.
fn is_age(lag: &ConsumerLag, now: Timestamp, stored: Timestamp) -> bool {
    let age = now.since(stored).as_secs_f64();
    lag.oldest_seconds.is_some_and(|found| (found - age).abs() < 2e-6)
}

#[tokio::test]
async fn the_oldest_is_the_first_that_matches_and_is_not_settled() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    make_stream(&nats, "EVENTS", "event.>").await;
    let consumer = durable(&nats, "EVENTS", "shipping", "ship", &["event.b.*", "event.a.*"]).await;
    publish(&nats, "event.a.1", 10).await;
    ack(&fetch(&consumer, 10).await).await;
    // Of nobody, then of ours and deleted, then the one that waits, and one behind it of the filter that is asked first.
    publish(&nats, "event.other.1", 5).await;
    publish(&nats, "event.a.2", 3).await;
    publish(&nats, "event.b.2", 1).await;
    counted(&nats, "EVENTS", 4).await;
    let stream = nats.jetstream().get_stream("EVENTS").await.unwrap();
    for sequence in [16, 17] {
        stream.delete_message(sequence).await.unwrap();
    }
    counted(&nats, "EVENTS", 2).await;
    let before = read(&nats).await;
    let (lag, now) = since(&nats, &before).await;
    assert_eq!((lag.len(), lag[0].pending, lag[0].unacknowledged), (1, 2, 0));
    assert!(is_age(&lag[0], now, stored(&nats, "EVENTS", 18).await), "{lag:?}");

    // The first of the two in hand, while the second one is settled.
    let in_hand = fetch(&consumer, 2).await;
    ack(&in_hand[1..]).await;
    let (lag, now) = since(&nats, &before).await;
    assert_eq!((lag[0].pending, lag[0].unacknowledged), (0, 1));
    assert!(is_age(&lag[0], now, stored(&nats, "EVENTS", 18).await), "{lag:?}");
    ack(&in_hand[..1]).await;
    let (lag, _) = since(&nats, &before).await;
    assert_eq!((lag[0].oldest_seconds, lag[0].drain), (None, Drain::Empty));
}

#[tokio::test]
async fn a_message_that_waits_for_its_next_attempt_is_the_oldest() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    make_stream(&nats, "EVENTS", "event.>").await;
    let consumer = durable(&nats, "EVENTS", "shipping", "ship", &["event.a.*"]).await;
    publish(&nats, "event.a.1", 3).await;
    counted(&nats, "EVENTS", 3).await;
    let messages = fetch(&consumer, 3).await;
    let later = AckKind::Nak(Some(Duration::from_secs(3600)));
    messages[0].double_ack_with(later).await.unwrap();
    ack(&messages[1..]).await;
    let before = read(&nats).await;
    let (lag, now) = since(&nats, &before).await;
    assert_eq!((lag[0].pending, lag[0].unacknowledged), (0, 1));
    assert!(is_age(&lag[0], now, stored(&nats, "EVENTS", 1).await), "{lag:?}");
    assert_eq!((lag[0].drain, lag[0].drain_seconds), (Drain::Never, None));
}

#[tokio::test]
async fn what_was_delivered_again_is_counted_until_it_is_settled() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    make_stream(&nats, "EVENTS", "event.>").await;
    let consumer = durable(&nats, "EVENTS", "shipping", "ship", &["event.a.*"]).await;
    publish(&nats, "event.a.1", 3).await;
    counted(&nats, "EVENTS", 3).await;
    for message in &fetch(&consumer, 3).await[1..] {
        message.double_ack_with(AckKind::Nak(None)).await.unwrap();
    }
    let again = fetch(&consumer, 2).await;
    let before = read(&nats).await;
    let counts = async || {
        let (lag, _) = since(&nats, &before).await;
        (lag[0].unacknowledged, lag[0].redelivered)
    };
    assert_eq!(counts().await, (3, 2));
    ack(&again[..1]).await;
    assert_eq!(counts().await, (2, 1));
    ack(&again[1..]).await;
    assert_eq!(counts().await, (1, 0));
}

#[tokio::test]
async fn rates_are_of_the_messages_that_match() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    make_stream(&nats, "EVENTS", "event.>").await;
    let consumer = durable(&nats, "EVENTS", "shipping", "ship", &["event.a.*"]).await;
    publish(&nats, "event.a.1", 40).await;
    counted(&nats, "EVENTS", 40).await;
    let before = read(&nats).await;
    for _ in 0..10 {
        publish(&nats, "event.a.1", 1).await;
        publish(&nats, "event.b.1", 7).await;
    }
    counted(&nats, "EVENTS", 50).await;
    ack(&fetch(&consumer, 25).await[..20]).await;
    let (lag, _) = since(&nats, &before).await;
    let lag = &lag[0];
    let over = lag.measured_seconds.unwrap();
    assert_eq!((lag.pending, lag.unacknowledged), (25, 5));
    assert_eq!(
        (lag.in_per_second, lag.out_per_second),
        (Some(10.0 / over), Some(20.0 / over))
    );
    assert_eq!(lag.drain, Drain::Draining);
    let left = lag.drain_seconds.unwrap();
    assert!((left - 30.0 / (10.0 / over)).abs() < 1e-6, "{left}");

    // The same name, another consumer.
    let stream = nats.jetstream().get_stream("EVENTS").await.unwrap();
    stream.delete_consumer("shipping__ship").await.unwrap();
    let before = read(&nats).await;
    assert_eq!(since(&nats, &before).await.0.len(), 0, "what is gone is no error");
    durable(&nats, "EVENTS", "shipping", "ship", &["event.a.*"]).await;
    let (lag, _) = since(&nats, &before).await;
    assert_eq!(
        (lag[0].pending, lag[0].in_per_second, lag[0].drain),
        (50, None, Drain::Unknown)
    );
}

#[tokio::test]
async fn what_is_parked_is_told_with_the_replays() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    make_stream(&nats, "TW_SHIPPING", "retry.shipping.> park.shipping.>").await;
    let config = pull::Config {
        filter_subjects: vec!["retry.shipping.ship.*".into()],
        priority_policy: PriorityPolicy::PinnedClient,
        priority_groups: vec!["one".into()],
        priority_timeout: Duration::from_secs(60),
        ..owned("shipping", "ship")
    };
    let stream = nats.jetstream().get_stream("TW_SHIPPING").await.unwrap();
    stream.create_consumer(config).await.unwrap();
    for subject in [
        "park.shipping.ship.a",
        "park.shipping.ship.b",
        "park.shipping.other.a",
    ] {
        publish(&nats, subject, 2).await;
    }
    let before = read(&nats).await;
    let (lag, _) = since(&nats, &before).await;
    assert!(lag[0].replays);
    assert_eq!(
        (lag[0].pending, lag[0].parked, lag[0].drain),
        (0, 4, Drain::Unknown)
    );
    publish(&nats, "retry.shipping.ship.x", 1).await;
    counted(&nats, "TW_SHIPPING", 1).await;
    let (lag, _) = since(&nats, &before).await;
    assert_eq!(
        (lag[0].pending, lag[0].parked, lag[0].drain),
        (1, 4, Drain::Never)
    );
}

#[tokio::test]
async fn all_pages_are_read_and_those_of_others_on_demand() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let empty = read(&nats).await;
    assert_eq!((empty.consumers.len(), empty.unanswered.len()), (0, 0));
    make_stream(&nats, "EVENTS", "event.>").await;
    let stream = nats.jetstream().get_stream("EVENTS").await.unwrap();
    for number in 0..260 {
        let service = if number % 100 == 0 { "billing" } else { "shipping" };
        let config = owned(service, &format!("n-{number}"));
        stream.create_consumer(config).await.unwrap();
    }
    let foreign = pull::Config {
        durable_name: Some("legacy".into()),
        ..pull::Config::default()
    };
    stream.create_consumer(foreign).await.unwrap();
    for number in 0..260 {
        make_stream(&nats, &format!("S-{number}"), &format!("s.{number}")).await;
    }
    durable(&nats, "S-259", "shipping", "last", &[]).await;
    let count = async |scope: Scope| Consumers::read(&nats, &scope).await.unwrap().consumers.len();
    assert_eq!(count(Scope::default()).await, 261);
    let foreign = Scope {
        foreign: true,
        ..Scope::default()
    };
    assert_eq!(count(foreign).await, 262);
    let of_one = Scope {
        service: Some("billing".into()),
        ..Scope::default()
    };
    assert_eq!(count(of_one).await, 3);
}

#[tokio::test]
async fn a_stream_without_a_leader_is_named_and_the_others_are_shown() {
    let mut cluster = Cluster::start(3).unwrap();
    let nats = connected(Connect::to(cluster.url())).await;
    make_stream(&nats, "LOST", "lost.>").await;
    durable(&nats, "LOST", "shipping", "lost", &[]).await;
    let info = nats.jetstream().get_stream("LOST").await.unwrap();
    let lost = info.cached_info().cluster.clone().unwrap().leader.unwrap();
    let kept = stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        num_replicas: 3,
        ..stream::Config::default()
    };
    create(&nats, kept).await;
    durable(&nats, "KEPT", "shipping", "kept", &[]).await;
    let node = lost.trim_start_matches("node-").parse().unwrap();
    cluster.node_mut(node).kill().unwrap();

    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // While a leader of the cluster is elected nobody answers.
        if let Ok(read) = Consumers::read(&nats, &Scope::default()).await
            && read
                .unanswered
                .iter()
                .any(|one| one.stream == "LOST" && one.consumer.is_none())
            && read.consumers.iter().any(|state| state.stream == "KEPT")
        {
            break;
        }
        assert!(Instant::now() < deadline, "they were never told apart");
    }
}
