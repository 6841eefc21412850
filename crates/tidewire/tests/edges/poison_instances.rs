//! Two instances of one service, and among the good messages one that no client can take.

use std::time::{Duration, Instant};

use tidewire_server::Server;

use crate::{
    poison::{
        BARE_CARRIAGE_RETURN, GOES_ON_WITHIN, Letter, PAYLOAD, SUBJECT, consumer, flows, letters,
        nothing_waits,
    },
    support::{
        PAYMENTS, Seen, WELL_WITHIN, connect_to, payments, processed, publish_raw, shipping, stored, within,
    },
};

/// The default of a durable.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// As soon as with one instance, and the ack wait more: what died with one instance's client may be in the hands of the
/// other for all that anybody knows. So it is not given back, and comes again by itself.
const ALL_WITHIN: Duration = GOES_ON_WITHIN.saturating_add(ACK_WAIT);
const GOOD: &[u8] = b"NATS/1.0\r\nx-note: a\r\n\r\n";
const BEFORE: usize = 10;
const ALL: usize = 80;

fn publish_good(port: u16, number: usize) {
    let body = format!(
        r#"{{"type":"event","id":"e-{number}","timestamp":"2026-03-20T10:00:00Z","data":{{"payment_id":"p-{number}"}},"metadata":{{}}}}"#
    );
    let subject = format!("orders.payments.payment.processed.p-{number}");
    publish_raw(port, &subject, GOOD, body.as_bytes());
}

/// What died with the client of one of them waits for the ack wait, and no longer; nothing else waits for it.
#[tokio::test]
async fn both_go_on_and_what_died_with_a_client_comes_after_the_ack_wait() {
    let (server, first, second) = (Server::start().unwrap(), Seen::default(), Seen::default());
    let operator = connect_to(server.url()).await;
    let payments = payments().start(operator.clone()).await.unwrap();
    let nats = connect_to(server.url()).await;
    let _first = shipping(&first).start(nats).await.unwrap();
    let nats = connect_to(server.url()).await;
    let _second = shipping(&second).start(nats).await.unwrap();
    within(WELL_WITHIN, "both pull", async || {
        consumer(&operator, "shipping__note").await.num_waiting >= 2
    })
    .await;
    // These calls block the thread on which both clients run: neither reads before all is on its way, and what is behind
    // the poison dies with the client that gets it.
    for number in 0..ALL {
        if number == BEFORE {
            publish_raw(server.port(), SUBJECT, BARE_CARRIAGE_RETURN, PAYLOAD);
        }
        publish_good(server.port(), number);
    }
    let poisoned = Instant::now();
    let has = |key: String| first.has(&key) || second.has(&key);
    flows(&payments.bus(), has).await;
    assert!(poisoned.elapsed() < GOES_ON_WITHIN, "{:?}", poisoned.elapsed());
    within(ALL_WITHIN, "all good ones are handled", async || {
        (0..ALL).all(|number| has(format!("p-{number}")))
    })
    .await;
    nothing_waits(&operator, "shipping__note").await;
    assert!(poisoned.elapsed() < ALL_WITHIN, "{:?}", poisoned.elapsed());
    let deliveries = consumer(&operator, "shipping__note")
        .await
        .delivered
        .consumer_sequence;
    assert!(
        deliveries > stored(&operator, PAYMENTS).await,
        "some died with the client: {deliveries} deliveries"
    );
    // Both have a client that works.
    let (by_first, by_second) = (first.len(), second.len());
    let (bus, mut number) = (payments.bus(), 0);
    within(GOES_ON_WITHIN, "both go on", async || {
        number += 1;
        bus.publish(&processed(format!("after-{number}"))).await.unwrap();
        first.len() > by_first && second.len() > by_second
    })
    .await;
    nothing_waits(&operator, "shipping__note").await;
    let letters = letters(&operator).await;
    let [Letter { subject, record }] = letters.as_slice() else {
        panic!("{} letters", letters.len());
    };
    assert!(subject.starts_with("dlq.shipping.note."), "{subject}");
    assert_eq!(record.original.as_ref().unwrap().subject, SUBJECT);
    assert_eq!(record.trouble.as_ref().unwrap().class, "poison");
}
