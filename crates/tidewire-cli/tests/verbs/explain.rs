//! `tidewire explain`.

use insta::assert_snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire::{
    async_nats::jetstream::{consumer, stream},
    prelude::*,
};
use tidewire_server::Server;

use crate::{
    run::{Ran, run, whole},
    services::{connect, payments, shipping, world},
};

#[tokio::test]
async fn streams_consumers_listeners_and_endpoints_are_named() {
    let (server, _running) = world().await;
    let js = connect(&server).await.jetstream();
    let events = js.get_stream("ORDERS__PAYMENTS").await.unwrap();
    let legacy = consumer::pull::Config {
        durable_name: Some("legacy".into()),
        max_deliver: 3,
        ..consumer::pull::Config::default()
    };
    events.create_consumer(legacy).await.unwrap();
    let other = consumer::pull::Config {
        durable_name: Some("closing".into()),
        filter_subject: "orders.payments.closed".into(),
        ack_policy: consumer::AckPolicy::None,
        ..consumer::pull::Config::default()
    };
    events.create_consumer(other).await.unwrap();
    let copy = stream::Config {
        name: "ARCHIVE".into(),
        sources: Some(vec![stream::Source {
            name: "ORDERS__PAYMENTS".into(),
            ..stream::Source::default()
        }]),
        ..stream::Config::default()
    };
    js.create_stream(copy).await.unwrap();
    let _second = payments().start(connect(&server).await).await.unwrap();
    // What is said once all that hear it or answer it were in time.
    let (one, two) = ("1 instance runs", "2 instances run");
    for (what, subject, all) in [
        ("event", "orders.payments.payment.processed.p=2E1", &[one][..]),
        ("other_consumer", "orders.payments.closed", &[one]),
        ("command", "orders.payments.payment.process.p-1", &[one, two]),
        ("query", "orders.payments.payment.get.p-1", &[one, two]),
        ("without_its_key", "orders.payments.payment.processed", &[one]),
        ("nobody", "users.v2.profile.user.created.u-7", &[]),
        ("grammar", "orders.Payments.payment.processed", &[]),
        ("reserved", "retry.orders.payments.process", &[]),
        ("queue_nobody", "queue.orders.payments.payment.process.p-1", &[]),
        ("filter", "orders.payments.*", &[]),
        ("no_subject", "orders..process", &[]),
    ] {
        let is_whole = |ran: &Ran| all.iter().all(|said| ran.stdout.contains(*said));
        let ran = whole(is_whole, async || run(&server, &["explain", subject]).await).await;
        assert_snapshot!(format!("explain_{what}"), ran.shown(&[]));
    }
    let json = run(
        &server,
        &["explain", "orders.payments.payment.processed.p-1", "--json"],
    )
    .await
    .json();
    assert_eq!(json["grammar"]["message"]["key"], "p-1");
    assert_eq!(
        json["captured"][0]["consumers"][1]["owner"]["durable"],
        "ship-on-payment"
    );
    assert_eq!(json["listeners"][0]["queue_group"], "watchers");
}

#[tokio::test]
async fn services_that_have_stopped_are_told_from_those_that_run() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    let shipping = shipping().start(nats.clone()).await.unwrap();
    shipping.stop().await.unwrap();
    payments.stop().await.unwrap();
    let js = nats.jetstream();
    let events = js.get_stream("ORDERS__PAYMENTS").await.unwrap();
    events.delete_consumer("shipping__ship-on-payment").await.unwrap();
    let ran = run(&server, &["explain", "orders.payments.payment.processed.p-1"]).await;
    assert_snapshot!("explain_stopped_event", ran.shown(&[]));
    let ran = run(&server, &["explain", "orders.payments.payment.get.p-1"]).await;
    assert_snapshot!("explain_stopped_query", ran.shown(&[]));
}

async fn ask(Query(_): Query<Ping>) {}

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.health.ping")]
struct Ping {}

#[tokio::test]
async fn services_without_jetstream_are_seen_and_asked() {
    let off = Server::builder().jetstream(false).start().unwrap();
    let of_account = "accounts { PLAIN { users: [ { user: ann, password: x } ] } }\nno_auth_user: ann";
    let of_account = Server::builder().config(of_account).start().unwrap();
    for server in [off, of_account] {
        let health = Service::new("health", "1.0.0").query(ask);
        let _health = health.start(connect(&server).await).await.unwrap();
        let ran = run(&server, &["explain", "orders.health.ping"]).await;
        assert_snapshot!("explain_without_jetstream", ran.shown(&[]));
        let ran = run(
            &server,
            &["request", "orders.health.ping", "--query", "--data", "{}"],
        )
        .await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "null\n"), "{ran:?}");
        let ran = run(&server, &["manifest", "show"]).await;
        assert_snapshot!("manifest_show_without_jetstream", ran.shown(&[]));
    }
}

#[tokio::test]
async fn a_command_that_nobody_answers_or_that_a_stream_captures_is_said() {
    let (server, [payments, _shipping]) = world().await;
    payments.stop().await.unwrap();
    let ran = run(&server, &["explain", "orders.payments.payment.process.p-1"]).await;
    assert_snapshot!("explain_unanswered", ran.shown(&[]));
    let trap = stream::Config {
        name: "TRAP".into(),
        subjects: vec!["orders.payments.payment.process.*".into()],
        ..stream::Config::default()
    };
    connect(&server)
        .await
        .jetstream()
        .create_stream(trap)
        .await
        .unwrap();
    let ran = run(&server, &["explain", "orders.payments.payment.process.p-1"]).await;
    assert_snapshot!("explain_captured_command", ran.shown(&[]));
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "orders.shipping.parcel.book", key = payment_id)]
struct BookParcel {
    payment_id: String,
}

async fn book(Command(_): Command<BookParcel>) {}
async fn book_later(_: Dispatch<BookParcel>, Query(_): Query<Ping>) {}

#[tokio::test]
async fn a_durable_command_is_worked_from_its_queue() {
    let server = Server::start().unwrap();
    let nats = connect(&server).await;
    let carrier = Service::new("carrier", "1.0.0")
        .context(Context::new("orders.shipping"))
        .on(durable("book", book));
    let _carrier = carrier.start(nats.clone()).await.unwrap();
    let shop = Service::new("shop", "1.0.0").query(book_later);
    let _shop = shop.start(nats.clone()).await.unwrap();
    for (what, subject) in [
        ("durable_command", "orders.shipping.parcel.book.p-1"),
        ("queue", "queue.orders.shipping.parcel.book.p-1"),
    ] {
        let ran = run(&server, &["explain", subject]).await;
        assert_snapshot!(format!("explain_{what}"), ran.shown(&[]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    for service in ["carrier", "shop"] {
        let ran = run(&server, &["manifest", "show", service]).await;
        assert_snapshot!(format!("manifest_show_{service}"), ran.shown(&[]));
    }
    // Who works it left its consumer behind, and its queue is gone.
    nats.jetstream()
        .delete_stream("ORDERS__SHIPPING__QUEUE")
        .await
        .unwrap();
    let ran = run(&server, &["explain", "queue.orders.shipping.parcel.book.p-1"]).await;
    assert_snapshot!("explain_queue_gone", ran.shown(&[]));
}
