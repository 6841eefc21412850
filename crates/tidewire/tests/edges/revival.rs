//! A client whose task has died on a malformed header is made anew, and all goes on through the new one.

use std::{sync::Arc, time::Duration};

use tidewire::{Running, prelude::*};
use tidewire_server::Server;
use tokio::sync::Semaphore;

use crate::support::{
    Log, PAYMENTS, PaymentProcessed, ProcessPayment, Seen, WELL_WITHIN, cashier, connect_to, payments,
    process, processed, publish_raw, soon, till, within,
};

/// Kills the task of every client that hears it.
const DEADLY: &[u8] = b"NATS/1.0\r\nx-note: a\rb\r\n\r\n";
const DIED: &str = "the client's task has died";

async fn is_answered(bus: &Bus, what: &str) {
    within(WELL_WITHIN, "it is answered", async || {
        bus.ask_within(&process(what), Duration::from_secs(1))
            .await
            .is_ok()
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_answers_again_and_the_service_is_still_listed() {
    let (log, _guard) = Log::listen();
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let nats = connect_to(server.url()).await;
    let cashier = cashier(&seen).start(nats.clone()).await.unwrap();
    let till = till().start(connect_to(server.url()).await).await.unwrap();
    is_answered(&till.bus(), "before").await;
    for round in 1..=3 {
        publish_raw(server.port(), "orders.payments.payment.process.p", DEADLY, b"");
        within(WELL_WITHIN, "it is noticed", async || log.count(DIED) == round).await;
        is_answered(&till.bus(), &format!("after-{round}")).await;
        assert!(seen.has(&format!("after-{round}")));
    }
    within(WELL_WITHIN, "it is listed", async || {
        let client = nats.client();
        let listed = client.request("$SRV.INFO.cashier", "".into());
        let listed = tokio::time::timeout(Duration::from_secs(1), listed).await;
        listed.is_ok_and(|listed| listed.is_ok_and(|info| info.payload.starts_with(b"{")))
    })
    .await;
    // It stops as any other: everything is there to be waited for.
    soon(WELL_WITHIN, "it stops", cashier.stop()).await.unwrap();
}

/// Runs until it is let go.
async fn hold(State((seen, gate)): State<(Seen, Arc<Semaphore>)>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
    gate.acquire().await.unwrap().forget();
}

async fn pass(Command(_): Command<ProcessPayment>) {}

/// What ran when the client died is settled through the next one: it does not come again.
#[tokio::test]
async fn what_runs_meanwhile_is_acked_through_the_new_client() {
    let (log, _guard) = Log::listen();
    let (server, seen, gate) = (
        Server::start().unwrap(),
        Seen::default(),
        Arc::new(Semaphore::new(0)),
    );
    let nats = connect_to(server.url()).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    let other = connect_to(server.url()).await;
    let slow = Service::new("slow", "1.0.0")
        .state((seen.clone(), gate.clone()))
        .on(durable("hold", hold).concurrency(1))
        .command(pass);
    let _slow = slow.start(other).await.unwrap();
    for key in ["runs", "waits"] {
        payments.bus().publish(&processed(key)).await.unwrap();
    }
    let info = async || {
        let stream = nats.jetstream().get_stream(PAYMENTS).await.unwrap();
        stream.consumer_info("slow__hold").await.unwrap()
    };
    within(WELL_WITHIN, "both are there", async || {
        seen.has("runs") && info().await.num_ack_pending == 2
    })
    .await;
    publish_raw(server.port(), "orders.payments.payment.process.p", DEADLY, b"");
    within(WELL_WITHIN, "it is noticed", async || log.count(DIED) == 1).await;
    gate.add_permits(2);
    within(WELL_WITHIN, "both are acked", async || {
        info().await.num_ack_pending == 0
    })
    .await;
    let deliveries = info().await.delivered.consumer_sequence;
    assert_eq!((seen.len(), deliveries), (2, 2), "neither came again");
}

async fn hear(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
}

/// A live handler hears again, and a bus that was taken before the death publishes.
#[tokio::test]
async fn a_live_handler_and_a_bus_go_on() {
    let (log, _guard) = Log::listen();
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let nats = connect_to(server.url()).await;
    let running: Running = payments().state(()).start(nats.clone()).await.unwrap();
    let display = Service::new("display", "1.0.0")
        .state(seen.clone())
        .on(live(hear));
    let _display = display.start(nats.clone()).await.unwrap();
    let bus = running.bus();
    publish_raw(server.port(), "orders.payments.payment.processed.p", DEADLY, b"");
    // Two services run on the connection, and each sees that its client has died.
    within(WELL_WITHIN, "it is noticed", async || log.count(DIED) == 2).await;
    let mut number = 0;
    within(WELL_WITHIN, "it is heard", async || {
        number += 1;
        bus.publish(&processed(format!("after-{number}"))).await.unwrap();
        seen.len() > 0
    })
    .await;
    assert_eq!(
        log.count("connected to NATS"),
        2,
        "one client in the place of one"
    );
}

/// To drain the client says that all shall end, and no other takes its place.
#[tokio::test]
async fn a_client_that_was_drained_is_not_made_anew() {
    let (log, _guard) = Log::listen();
    let server = Server::start().unwrap();
    let nats = connect_to(server.url()).await;
    let payments = payments().start(nats.clone()).await.unwrap();
    nats.client().drain().await.unwrap();
    soon(WELL_WITHIN, "it is noticed", payments.connection_closed()).await;
    assert_eq!((log.count(DIED), log.count("connected to NATS")), (0, 1));
}
