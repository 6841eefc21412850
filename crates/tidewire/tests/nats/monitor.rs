//! Metrics and health over HTTP: from before the start to after the stop.

use std::time::Duration;

use tidewire::{RunError, StartError, prelude::*};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::support::{
    PAYMENTS, PaymentProcessed, Seen, connect, consumer, eventually,
    http::{get, try_get},
    note, payments, processed, server,
};

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// An address that nobody has a moment later either, as good as certain.
async fn free() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn a_service_is_alive_before_it_is_ready_and_while_it_drains() {
    static GO: Semaphore = Semaphore::const_new(0);
    async fn slow(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
        seen.note(paid.payment_id);
        GO.acquire().await.unwrap().forget();
    }
    let (server, seen, address) = (server(), Seen::default(), free().await);
    let client = connect(&server).await;
    let service = Service::new("lively", "1.0.0")
        .state(seen.clone())
        .on(durable("slow", slow))
        .monitor(address);
    // Nobody keeps the stream yet: the start waits for it.
    let starting = tokio::spawn(service.start(client.clone()));
    eventually("it listens", async || {
        try_get(address, "/livez", "").await.is_some()
    })
    .await;
    assert_eq!(get(address, "/livez").await, (200, "alive\n".into()));
    let lacks = "stream-ORDERS__PAYMENTS: ORDERS__PAYMENTS does not capture \
                 `orders.payments.payment.processed.*` yet, which the durable `slow` needs; \
                 start the service that keeps its context\n";
    eventually("it names what it waits for", async || {
        let (status, text) = get(address, "/readyz").await;
        status == 503 && text.starts_with("not ready\nstarting: ") && text.ends_with(lacks)
    })
    .await;
    let payments = payments().start(client.clone()).await.unwrap();
    let running = starting.await.unwrap().unwrap();
    assert_eq!(running.monitor_address(), Some(address));
    assert_eq!(get(address, "/readyz").await, (200, "ready\n".into()));
    let json = try_get(address, "/readyz", "application/json").await.unwrap();
    assert_eq!(json, (200, r#"{"causes":{},"degraded":{},"ready":true}"#.into()));

    payments.bus().publish(&processed("p")).await.unwrap();
    seen.reaches(1).await;
    let stopping = tokio::spawn(running.stop());
    eventually("it is not ready any more", async || {
        get(address, "/readyz").await.0 == 503
    })
    .await;
    assert!(get(address, "/readyz").await.1.contains("\nstopping: "));
    assert_eq!(get(address, "/livez").await.0, 200);
    assert_eq!(
        consumer(&client, PAYMENTS, "lively__slow").await.num_ack_pending,
        1
    );
    GO.add_permits(1);
    stopping.await.unwrap().unwrap();
    assert_eq!(
        try_get(address, "/livez", "").await,
        None,
        "nobody listens any more"
    );
    // The address is free again at once.
    drop(TcpListener::bind(address).await.unwrap());
}

#[tokio::test]
async fn an_address_in_use_is_named_and_nothing_starts() {
    let server = server();
    let client = connect(&server).await;
    let payments = payments().start(client.clone()).await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let service = || {
        Service::new("taken", "1.0.0")
            .state(Seen::default())
            .on(durable("note", note))
            .monitor(address)
    };
    let error = service().start(client.clone()).await.unwrap_err();
    assert!(matches!(&error, StartError::Monitor { address: named, .. } if *named == address));
    let text = error.to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("the port 0"),
        "{text}"
    );
    let error = service().run(client.clone()).await.unwrap_err();
    assert!(matches!(error, RunError::Start(StartError::Monitor { .. })));
    let stream = crate::support::jetstream(&client)
        .get_stream(PAYMENTS)
        .await
        .unwrap();
    assert!(
        stream.consumer_info("taken__note").await.is_err(),
        "nothing was made"
    );
    payments.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_leaves_nobody_listening() {
    let (server, address) = (server(), free().await);
    let client = connect(&server).await;
    let service = Service::new("unfed", "1.0.0")
        .state(Seen::default())
        .on(durable("note", note).filter("nobody.>"))
        .monitor(address);
    service.start(client).await.unwrap_err();
    eventually("nobody listens", async || {
        try_get(address, "/livez", "").await.is_none()
    })
    .await;
}

/// Services of one process share its recorder, whatever comes and goes.
#[tokio::test]
async fn two_services_of_a_process_share_their_figures() {
    let server = server();
    let client = connect(&server).await;
    let start = async |name: &str| {
        let service = Service::new(name, "1.0.0")
            .context(Context::new("orders.payments"))
            .publishes::<PaymentProcessed>()
            .monitor(ANY);
        service.start(client.clone()).await.unwrap()
    };
    let (one, other) = (start("one-of-two").await, start("two-of-two").await);
    one.bus().publish(&processed("p")).await.unwrap();
    one.stop().await.unwrap();
    let (status, text) = get(other.monitor_address().unwrap(), "/metrics").await;
    assert_eq!(status, 200);
    for (service, count) in [("one-of-two", 1), ("two-of-two", 0)] {
        let series = format!(
            "messaging_client_sent_messages_total{{service=\"{service}\",\
             message=\"orders.payments.payment.processed\",outcome=\"stored\"}} {count}"
        );
        assert!(text.contains(&series), "{series}");
    }
    assert!(text.contains("# HELP messaging_client_sent_messages_total "));
}

/// A pause says that somebody wants it so: nobody is to take the instance away for it.
#[tokio::test]
async fn a_pause_is_named_and_no_reason_not_to_be_ready() {
    let (server, seen) = (server(), Seen::default());
    let client = connect(&server).await;
    let _payments = payments().start(client.clone()).await.unwrap();
    let paused = Service::new("held", "1.0.0")
        .state(seen.clone())
        .on(durable("note", note))
        .monitor(ANY)
        .start(client.clone())
        .await
        .unwrap();
    let at = paused.monitor_address().unwrap();
    let ask = async |verb: &str| {
        let subject = tidewire::wire::operation_subject("held", verb);
        let body = r#"{"durable":"note","seconds":3600.0}"#;
        let body = if verb == "pause" {
            body
        } else {
            r#"{"durable":"note"}"#
        };
        client.request(subject, body.into()).await.unwrap();
    };
    ask("pause").await;
    let (status, text) = get(at, "/readyz").await;
    assert!(
        status == 200 && text.starts_with("ready\ndegraded: paused-note: "),
        "{text}"
    );
    assert!(paused.degraded().contains_key("paused-note"));
    ask("resume").await;
    assert_eq!(get(at, "/readyz").await, (200, "ready\n".into()));
    // Ended by somebody who tells nobody.
    ask("pause").await;
    let stream = crate::support::jetstream(&client)
        .get_stream(PAYMENTS)
        .await
        .unwrap();
    stream.resume_consumer("held__note").await.unwrap();
    let service = crate::support::jetstream(&client)
        .get_stream("TW_HELD")
        .await
        .unwrap();
    service.resume_consumer("held__note").await.unwrap();
    eventually("it is seen all the same", async || paused.degraded().is_empty()).await;
    tokio::time::timeout(Duration::from_secs(10), paused.stop())
        .await
        .unwrap()
        .unwrap();
}
