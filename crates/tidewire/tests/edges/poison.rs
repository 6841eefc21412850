//! Stored messages whose headers the client cannot take: put into the dead letters, and the rest flows.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use tidewire::{
    Connection,
    async_nats::jetstream::consumer::Info,
    dead_letter::{Act, OriginalHeaders, Record},
    prelude::*,
    wire,
};
use tidewire_server::Server;

use crate::{
    records::records,
    support::{
        Log, PAYMENTS, PaymentProcessed, Seen, connect_as, connect_to,
        http::{figures, sum},
        note_event, payments, processed, publish_raw, publish_raw_as, shipping, stored, stream, users,
        within,
    },
};

/// How soon a consumer goes on.
pub(crate) const GOES_ON_WITHIN: Duration = Duration::from_secs(30);
pub(crate) const SUBJECT: &str = "orders.payments.payment.processed.poison";
pub(crate) const PAYLOAD: &[u8] = b"{\"kept\":\0\xff}";

pub(crate) const BARE_CARRIAGE_RETURN: &[u8] = b"NATS/1.0\r\nx-note: a\rb\r\n\r\n";
const BAD_NAME: &[u8] = b"NATS/1.0\r\nx note: a\r\n\r\n";
pub(crate) const NO_COLON: &[u8] = b"NATS/1.0\r\nx-note\r\n\r\n";
const NOT_TEXT: &[u8] = b"NATS/1.0\r\nx-note: \xff\xfe\r\n\r\n";
const WRONG_VERSION: &[u8] = b"NATS/9.0\r\nx-note: a\r\n\r\n";
const ALL: [&[u8]; 5] = [BARE_CARRIAGE_RETURN, BAD_NAME, NO_COLON, NOT_TEXT, WRONG_VERSION];

/// A record in the dead letters, as any program reads it.
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) record: Record,
}

/// Publishes until what is published now is handled.
pub(crate) async fn flows(bus: &Bus, has: impl Fn(String) -> bool) {
    let mut number = 0;
    within(GOES_ON_WITHIN, "new ones are handled", async || {
        number += 1;
        bus.publish(&processed(format!("new-{number}"))).await.unwrap();
        (1..=number).any(|number| has(format!("new-{number}")))
    })
    .await;
}

pub(crate) async fn letters(nats: &Connection) -> Vec<Letter> {
    let records = records(&nats.jetstream()).await.into_iter();
    records
        .map(|(subject, record)| Letter { subject, record })
        .collect()
}

pub(crate) async fn consumer(nats: &Connection, name: &str) -> Info {
    let stream = nats.jetstream().get_stream(PAYMENTS).await.unwrap();
    stream.consumer_info(name).await.unwrap()
}

/// Waits until a consumer has settled all that is stored, which is for it. A message is stored a moment before the consumer
/// counts it.
pub(crate) async fn nothing_waits(nats: &Connection, name: &str) {
    within(GOES_ON_WITHIN, "nothing waits any more", async || {
        let last = stream(nats, PAYMENTS).await.state.last_sequence;
        let info = consumer(nats, name).await;
        info.delivered.stream_sequence >= last && (info.num_ack_pending, info.num_pending) == (0, 0)
    })
    .await;
}

/// Waits until so many messages are stored: the server has read what a raw client publishes before it stores it.
async fn are_stored(nats: &Connection, messages: u64) {
    within(GOES_ON_WITHIN, "it is stored", async || {
        stored(nats, PAYMENTS).await >= messages
    })
    .await;
}

/// Good ones before and behind it are handled, and the poison is in the dead letters as it was sent.
async fn is_put_away(block: &'static [u8]) {
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let operator = connect_to(server.url()).await;
    let payments = payments().start(operator.clone()).await.unwrap();
    let nats = connect_to(server.url()).await;
    let _shipping = shipping(&seen).start(nats).await.unwrap();
    let bus = payments.bus();
    bus.publish(&processed("before")).await.unwrap();
    publish_raw(server.port(), SUBJECT, block, PAYLOAD);
    let poisoned = Instant::now();
    bus.publish(&processed("after")).await.unwrap();
    within(GOES_ON_WITHIN, "the others are handled", async || {
        seen.has("before") && seen.has("after")
    })
    .await;
    nothing_waits(&operator, "shipping__note").await;
    assert!(poisoned.elapsed() < GOES_ON_WITHIN, "{:?}", poisoned.elapsed());
    let letters = letters(&operator).await;
    let [Letter { subject, record }] = letters.as_slice() else {
        panic!("{} letters", letters.len());
    };
    assert!(subject.starts_with("dlq.shipping.note."), "{subject}");
    let original = record.original.as_ref().unwrap();
    assert_eq!(
        original.headers,
        OriginalHeaders::Broken(Bytes::from_static(block))
    );
    assert_eq!((&*original.payload, &*original.subject), (PAYLOAD, SUBJECT));
    assert_eq!((&*original.stream, original.sequence), (PAYMENTS, 2));
    let trouble = record.trouble.as_ref().unwrap();
    assert_eq!((record.act, &*trouble.class), (Act::Failed, "poison"));
    assert_eq!(seen.len(), 2, "nothing twice");
}

#[tokio::test]
async fn a_bare_carriage_return() {
    is_put_away(BARE_CARRIAGE_RETURN).await;
}

#[tokio::test]
async fn a_name_that_is_none() {
    is_put_away(BAD_NAME).await;
}

#[tokio::test]
async fn a_line_without_a_colon() {
    is_put_away(NO_COLON).await;
}

#[tokio::test]
async fn headers_that_are_no_text() {
    is_put_away(NOT_TEXT).await;
}

#[tokio::test]
async fn a_version_that_nobody_knows() {
    is_put_away(WRONG_VERSION).await;
}

async fn note(State(seen): State<Seen>, Event(paid): Event<PaymentProcessed>) {
    seen.note(paid.payment_id);
}

/// Several of each kind among two hundred good ones, and two durables that read them.
#[tokio::test]
async fn many_among_many_for_two_durables() {
    let (server, first, second) = (Server::start().unwrap(), Seen::default(), Seen::default());
    let operator = connect_to(server.url()).await;
    let payments = payments().start(operator.clone()).await.unwrap();
    let nats = connect_to(server.url()).await;
    let _shipping = shipping(&first).start(nats.clone()).await.unwrap();
    let billing = Service::new("billing", "1.0.0")
        .state(second.clone())
        .on(durable("bill", note));
    let _billing = billing.start(nats).await.unwrap();
    let bus = payments.bus();
    for number in 0..200 {
        bus.publish(&processed(format!("p-{number}"))).await.unwrap();
        if number % 20 == 10 {
            publish_raw(server.port(), SUBJECT, ALL[number / 20 % ALL.len()], PAYLOAD);
        }
    }
    let poisoned = Instant::now();
    for seen in [&first, &second] {
        flows(&bus, |key| seen.has(&key)).await;
        assert!(poisoned.elapsed() < GOES_ON_WITHIN, "{:?}", poisoned.elapsed());
    }
    // Twice the ack wait: what was in hand of the other service when the client died comes again after it.
    for (seen, consumer) in [(&first, "shipping__note"), (&second, "billing__bill")] {
        within(2 * GOES_ON_WITHIN, "all good ones are handled", async || {
            (0..200).all(|number| seen.has(&format!("p-{number}")))
        })
        .await;
        nothing_waits(&operator, consumer).await;
    }
    let letters = letters(&operator).await;
    for durable in ["dlq.shipping.note.", "dlq.billing.bill."] {
        let of = letters
            .iter()
            .filter(|letter| letter.subject.starts_with(durable));
        assert_eq!(of.count(), 10, "{durable}");
    }
    let healthy = letters.iter().filter(|letter| {
        let original = letter.record.original.as_ref().unwrap();
        matches!(original.headers, OriginalHeaders::Parsed(_))
    });
    assert_eq!((letters.len(), healthy.count()), (20, 0));
}

/// What lies behind a poison and was lost with the client is given back, and not waited out.
#[tokio::test]
async fn what_was_lost_with_the_client_comes_at_once() {
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let operator = connect_to(server.url()).await;
    let payments = payments().start(operator.clone()).await.unwrap();
    let bus = payments.bus();
    publish_raw(server.port(), SUBJECT, BARE_CARRIAGE_RETURN, PAYLOAD);
    for number in 0..50 {
        bus.publish(&processed(format!("p-{number}"))).await.unwrap();
    }
    // One pull brings them all.
    let nats = connect_to(server.url()).await;
    let _shipping = shipping(&seen).start(nats).await.unwrap();
    let within_the_ack_wait = Duration::from_secs(20);
    within(within_the_ack_wait, "all are handled", async || seen.len() == 50).await;
    nothing_waits(&operator, "shipping__note").await;
}

async fn refuse_the_first(Event(paid): Event<PaymentProcessed>) -> Result<(), Failure> {
    match paid.payment_id.as_str() {
        "first" => Err("not before tomorrow").or_retry_after(Duration::from_secs(3600)),
        _ => Ok(()),
    }
}

/// Far behind a message that waits for its next run: what lies between them is not read before it.
#[tokio::test]
async fn a_poison_behind_more_messages_than_one_look_reads() {
    const BETWEEN: u64 = 10_500;
    let (log, _guard) = Log::listen();
    let server = Server::start().unwrap();
    let operator = connect_to(server.url()).await;
    let payments = payments().start(operator.clone()).await.unwrap();
    let service = Service::new("shipping", "1.0.0").on(durable("note", refuse_the_first));
    let nats = connect_to(server.url()).await;
    let _service = service.start(nats).await.unwrap();
    payments.bus().publish(&processed("first")).await.unwrap();
    let js = operator.jetstream();
    let body = r#"{"type":"event","id":"e","timestamp":"2026-03-20T10:00:00Z","data":{"payment_id":"p"},"metadata":{}}"#;
    let publishes = (0..BETWEEN).map(|_| async {
        let sent = js.publish("orders.payments.payment.processed.p", body.into());
        sent.await.unwrap().await.unwrap();
    });
    let publishes = futures_util::stream::iter(publishes).buffer_unordered(256);
    publishes.collect::<()>().await;
    within(2 * GOES_ON_WITHIN, "all but the first are handled", async || {
        let info = consumer(&operator, "shipping__note").await;
        info.delivered.stream_sequence > BETWEEN && (info.num_ack_pending, info.num_pending) == (1, 0)
    })
    .await;
    publish_raw(server.port(), SUBJECT, NO_COLON, PAYLOAD);
    log.says(GOES_ON_WITHIN, "it is in the dead letters, and the rest goes on")
        .await;
    assert_eq!(log.find("more waits than one look"), None);
}

/// All that the service needs to run, and to put away what no client can take. It may settle in the second layout of ack
/// subjects alone, which this server writes.
const PERMISSIONS: &str = r#"
    publish: [
        "$JS.API.STREAM.INFO.ORDERS__PAYMENTS", "$JS.API.STREAM.MSG.GET.ORDERS__PAYMENTS",
        "$JS.API.CONSUMER.INFO.ORDERS__PAYMENTS.shipping__note",
        "$JS.API.CONSUMER.MSG.NEXT.ORDERS__PAYMENTS.shipping__note",
        "$JS.ACK._.*.ORDERS__PAYMENTS.shipping__note.>", "$SYS.REQ.USER.INFO",
        "$JS.API.STREAM.INFO.TW_SHIPPING", "$JS.API.CONSUMER.INFO.TW_SHIPPING.shipping__note",
        "$JS.API.STREAM.MSG.GET.TW_SHIPPING",
        "$JS.API.CONSUMER.MSG.NEXT.TW_SHIPPING.shipping__note", "$JS.ACK._.*.TW_SHIPPING.shipping__note.>",
        "$JS.API.STREAM.INFO.KV_TW_SHIPPING_RUNS", "$JS.API.STREAM.MSG.GET.KV_TW_SHIPPING_RUNS",
        "$KV.TW_SHIPPING_RUNS.>", "$JS.API.STREAM.INFO.TIDEWIRE_ERRORS", "errors.shipping.>",
        "$JS.API.STREAM.INFO.TIDEWIRE_DLQ", "$JS.API.STREAM.MSG.GET.TIDEWIRE_DLQ", "dlq.shipping.>", "_INBOX.>"
    ]
    subscribe: ["_INBOX.>", "$SRV.>", "tidewire.ops.shipping.*"]
"#;

#[tokio::test]
async fn a_service_with_little_permission_and_acks_in_their_second_layout() {
    let seen = Seen::default();
    let config = format!("{}\nfeature_flags {{ js_ack_fc_v2: true }}", users(PERMISSIONS));
    let server = Server::builder().config(config).start().unwrap();
    let admin = connect_as(&server, "admin").await;
    let _payments = payments().start(admin.clone()).await.unwrap();
    // Somebody with more permissions has made what it needs.
    let first = shipping(&seen).start(admin.clone()).await.unwrap();
    first.stop().await.unwrap();
    let nats = connect_as(&server, "service").await;
    let _shipping = shipping(&seen).start(nats).await.unwrap();
    let login = r#","user":"admin","pass":"admin""#;
    publish_raw_as(server.port(), login, SUBJECT, BARE_CARRIAGE_RETURN, PAYLOAD);
    are_stored(&admin, 1).await;
    nothing_waits(&admin, "shipping__note").await;
    assert_eq!(letters(&admin).await.len(), 1);
}

#[tokio::test]
async fn it_is_counted_as_what_it_is() {
    let (server, seen) = (Server::start().unwrap(), Seen::default());
    let nats = connect_to(server.url()).await;
    let _payments = payments().start(nats.clone()).await.unwrap();
    // Its name is its own: all services of the process are counted together.
    let counting = Service::new("counting", "1.0.0").state(seen);
    let counting = counting
        .on(durable("note", note_event))
        .monitor(([127, 0, 0, 1], 0));
    let counting = counting.start(connect_to(server.url()).await).await.unwrap();
    publish_raw(server.port(), SUBJECT, NO_COLON, PAYLOAD);
    within(GOES_ON_WITHIN, "a dead letter is counted", async || {
        let now = figures(counting.monitor_address().unwrap(), "counting").await;
        let dead = "tidewire_dead_letters_total{";
        let counted = [sum(&now, &[dead, "error_class=\"poison\""]), sum(&now, &[dead])];
        counted.iter().all(|letters| (letters - 1.0).abs() < 1e-6)
    })
    .await;
}

/// No record of the server's largest size can hold it: its content is in the object store.
#[tokio::test]
async fn a_poison_of_the_largest_size() {
    let seen = Seen::default();
    let server = Server::builder().config("max_payload: 65536").start().unwrap();
    let nats = connect_to(server.url()).await;
    let _payments = payments().start(nats.clone()).await.unwrap();
    let other = connect_to(server.url()).await;
    let _shipping = shipping(&seen).start(other).await.unwrap();
    let payload = vec![0xfe; (64 << 10) - NO_COLON.len()];
    publish_raw(server.port(), SUBJECT, NO_COLON, &payload);
    are_stored(&nats, 1).await;
    nothing_waits(&nats, "shipping__note").await;
    let js = nats.jetstream();
    let stream = js.get_stream(wire::DLQ_STREAM).await.unwrap();
    let stored = stream.get_raw_message(1).await.unwrap();
    let name = stored.headers.get(wire::TW_OBJECT).unwrap().as_str();
    let body = tidewire::read_object(&nats, wire::LETTERS_BUCKET, name).await;
    let body = body.unwrap().unwrap();
    assert!(body == [NO_COLON, &payload].concat(), "byte for byte");
}
