//! Stored messages whose headers the client cannot take, before each kind of handler that is not the plain one: ordered by
//! key, of batches, and of a queue.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tidewire::{
    Connection,
    dead_letter::{Act, OriginalHeaders},
    prelude::*,
};
use tidewire_server::Server;

use crate::{
    poison::{BARE_CARRIAGE_RETURN, GOES_ON_WITHIN, Letter, NO_COLON, PAYLOAD, SUBJECT, letters},
    support::{PAYMENTS, PaymentProcessed, Seen, connect_to, payments, publish_raw, within, worker},
};

/// Where a service reads, and how it is sent something good.
struct Read {
    stream: &'static str,
    consumer: &'static str,
    letters: &'static str,
    poison: &'static str,
    prefix: &'static str,
    kind: &'static str,
}

const EVENTS: Read = Read {
    stream: PAYMENTS,
    consumer: "shipping__note",
    letters: "dlq.shipping.note.",
    poison: SUBJECT,
    prefix: "orders.payments.payment.processed",
    kind: "event",
};

const QUEUE: Read = Read {
    stream: "ORDERS__PAYMENTS__QUEUE",
    consumer: "worker__work",
    letters: "dlq.worker.work.",
    poison: "queue.orders.payments.payment.process.poison",
    prefix: "queue.orders.payments.payment.process",
    kind: "command",
};

impl Read {
    fn publish(&self, port: u16, key: &str) {
        let kind = self.kind;
        let body = format!(
            r#"{{"type":"{kind}","id":"{key}","timestamp":"2026-03-20T10:00:00Z","data":{{"payment_id":"{key}"}},"metadata":{{}}}}"#
        );
        let subject = format!("{}.{key}", self.prefix);
        publish_raw(port, &subject, b"NATS/1.0\r\nx-note: a\r\n\r\n", body.as_bytes());
    }

    /// Good ones before, between and behind two kinds of poison are handled, those are in the dead letters as they were
    /// sent, and the service goes on.
    async fn goes_on(&self, server: &Server, operator: &Connection, seen: &Seen) {
        let blocks = [BARE_CARRIAGE_RETURN, NO_COLON];
        self.publish(server.port(), "before");
        within(GOES_ON_WITHIN, "it reads", async || seen.has("before")).await;
        publish_raw(server.port(), self.poison, blocks[0], PAYLOAD);
        let poisoned = Instant::now();
        for number in 0..10 {
            self.publish(server.port(), &format!("between-{number}"));
        }
        publish_raw(server.port(), self.poison, blocks[1], PAYLOAD);
        self.publish(server.port(), "behind");
        within(GOES_ON_WITHIN, "the others are handled", async || {
            seen.has("behind") && (0..10).all(|number| seen.has(&format!("between-{number}")))
        })
        .await;
        let js = operator.jetstream();
        let stream = js.get_stream(self.stream).await.unwrap();
        within(GOES_ON_WITHIN, "nothing waits any more", async || {
            let info = stream.consumer_info(self.consumer).await.unwrap();
            (info.num_ack_pending, info.num_pending) == (0, 0)
        })
        .await;
        assert!(poisoned.elapsed() < GOES_ON_WITHIN, "{:?}", poisoned.elapsed());
        let letters = letters(operator).await;
        assert_eq!(letters.len(), blocks.len());
        for (Letter { subject, record }, block) in letters.iter().zip(blocks) {
            assert!(subject.starts_with(self.letters), "{subject}");
            let original = record.original.as_ref().unwrap();
            assert_eq!(
                original.headers,
                OriginalHeaders::Broken(Bytes::from_static(block))
            );
            assert_eq!((&*original.payload, &*original.subject), (PAYLOAD, self.poison));
            assert_eq!(&*original.stream, self.stream);
            assert_eq!(
                (record.act, &*record.trouble.as_ref().unwrap().class),
                (Act::Failed, "poison")
            );
        }
        self.publish(server.port(), "later");
        within(GOES_ON_WITHIN, "it goes on", async || seen.has("later")).await;
    }
}

async fn note(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
}

async fn note_all(State(seen): State<Seen>, Batch(paid): Batch<PaymentProcessed>) {
    for paid in paid {
        seen.note(paid.payment_id);
    }
}

/// Reads payments as `declare` says.
async fn of_payments(declare: impl FnOnce(Service<Seen>) -> Service<Seen>) {
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let operator = connect_to(server.url()).await;
    let _payments = payments().start(operator.clone()).await.unwrap();
    let nats = connect_to(server.url()).await;
    let shipping = declare(Service::new("shipping", "1.0.0").state(seen.clone()));
    let _shipping = shipping.start(nats).await.unwrap();
    EVENTS.goes_on(&server, &operator, &seen).await;
}

#[tokio::test]
async fn before_a_handler_that_is_ordered_by_key() {
    of_payments(|shipping| shipping.on(durable("note", note).ordered_by_key())).await;
}

#[tokio::test]
async fn before_a_handler_of_batches() {
    let within = Duration::from_millis(20);
    of_payments(|shipping| shipping.on_batch(4, within, durable("note", note_all))).await;
}

#[tokio::test]
async fn before_a_handler_of_a_queue() {
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let operator = connect_to(server.url()).await;
    let nats = connect_to(server.url()).await;
    let _worker = worker(&seen).start(nats).await.unwrap();
    QUEUE.goes_on(&server, &operator, &seen).await;
}
